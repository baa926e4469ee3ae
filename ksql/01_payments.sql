-- The three payment topics as one stream. A record's time is the payment's time.
-- Columns are named here: the registry's newest schema may be another producer's. Accounts are BIGINT, as Avro's long is one; what is
-- no payment by its numbers is left out, as Python sets it aside.
-- folded_bank is the bank's name for rules that take a bank for the same in other letters or blanks (fold_banks).

CREATE STREAM payment_json (payor_key VARCHAR KEY, id VARCHAR, payee_bank VARCHAR, payee_account_no BIGINT, payment_amount DOUBLE,
    payment_method VARCHAR, payor_account_no BIGINT)
  WITH (KAFKA_TOPIC = 'payment_json', VALUE_FORMAT = 'JSON_SR');

CREATE STREAM payment_avro (payor_key VARCHAR KEY, id VARCHAR, payee_bank VARCHAR, payee_account_no BIGINT, payment_amount DOUBLE,
    payment_method VARCHAR, payor_account_no BIGINT)
  WITH (KAFKA_TOPIC = 'payment_avro', VALUE_FORMAT = 'AVRO');

CREATE STREAM payment_protobuf (payor_key VARCHAR KEY, id VARCHAR, payee_bank VARCHAR, payee_account_no BIGINT, payment_amount DOUBLE,
    payment_method VARCHAR, payor_account_no BIGINT)
  WITH (KAFKA_TOPIC = 'payment_protobuf', VALUE_FORMAT = 'PROTOBUF');

CREATE STREAM all_payments
  WITH (KAFKA_TOPIC = 'ksqldb_all_payments', VALUE_FORMAT = 'JSON', PARTITIONS = 6) AS
  SELECT payor_key, id, payee_bank, CAST(payee_account_no AS INTEGER) AS payee_account_no, payment_amount, payment_method,
         CAST(payor_account_no AS INTEGER) AS payor_account_no,
         'payment_json' AS source,
         UCASE(TRIM(REGEXP_REPLACE(payee_bank, '[\x00-\x20\x7F-\xA0\u1680\u2000-\u200F\u2028\u2029\u202F\u205F\u2060\u3000\uFEFF]+', ' ')))
           AS folded_bank
  FROM payment_json
  WHERE payor_account_no BETWEEN 0 AND 2147483647 AND payee_account_no BETWEEN 0 AND 2147483647
    AND payment_amount BETWEEN 0.01 AND 1000000000000.00 AND payment_amount = ROUND(payment_amount, 2)
  EMIT CHANGES;

INSERT INTO all_payments WITH (QUERY_ID = 'insert_payment_avro')
  SELECT payor_key, id, payee_bank, CAST(payee_account_no AS INTEGER) AS payee_account_no, payment_amount, payment_method,
         CAST(payor_account_no AS INTEGER) AS payor_account_no,
         'payment_avro' AS source,
         UCASE(TRIM(REGEXP_REPLACE(payee_bank, '[\x00-\x20\x7F-\xA0\u1680\u2000-\u200F\u2028\u2029\u202F\u205F\u2060\u3000\uFEFF]+', ' ')))
           AS folded_bank
  FROM payment_avro
  WHERE payor_account_no BETWEEN 0 AND 2147483647 AND payee_account_no BETWEEN 0 AND 2147483647
    AND payment_amount BETWEEN 0.01 AND 1000000000000.00 AND payment_amount = ROUND(payment_amount, 2)
  EMIT CHANGES;

INSERT INTO all_payments WITH (QUERY_ID = 'insert_payment_protobuf')
  SELECT payor_key, id, payee_bank, CAST(payee_account_no AS INTEGER) AS payee_account_no, payment_amount, payment_method,
         CAST(payor_account_no AS INTEGER) AS payor_account_no,
         'payment_protobuf' AS source,
         UCASE(TRIM(REGEXP_REPLACE(payee_bank, '[\x00-\x20\x7F-\xA0\u1680\u2000-\u200F\u2028\u2029\u202F\u205F\u2060\u3000\uFEFF]+', ' ')))
           AS folded_bank
  FROM payment_protobuf
  WHERE payor_account_no BETWEEN 0 AND 2147483647 AND payee_account_no BETWEEN 0 AND 2147483647
    AND payment_amount BETWEEN 0.01 AND 1000000000000.00 AND payment_amount = ROUND(payment_amount, 2)
  EMIT CHANGES;

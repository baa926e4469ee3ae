-- The three payment topics as one stream. Columns come from the schema registry; a record's time is the payment's time.

CREATE STREAM payment_json (payor_key VARCHAR KEY)
  WITH (KAFKA_TOPIC = 'payment_json', VALUE_FORMAT = 'JSON_SR');

CREATE STREAM payment_avro (payor_key VARCHAR KEY)
  WITH (KAFKA_TOPIC = 'payment_avro', VALUE_FORMAT = 'AVRO');

CREATE STREAM payment_protobuf (payor_key VARCHAR KEY)
  WITH (KAFKA_TOPIC = 'payment_protobuf', VALUE_FORMAT = 'PROTOBUF');

CREATE STREAM all_payments
  WITH (KAFKA_TOPIC = 'ksqldb_all_payments', VALUE_FORMAT = 'JSON', PARTITIONS = 6) AS
  SELECT payor_key, id, payee_bank, payee_account_no, payment_amount, payment_method, payor_account_no,
         'payment_json' AS source
  FROM payment_json
  EMIT CHANGES;

INSERT INTO all_payments WITH (QUERY_ID = 'insert_payment_avro')
  SELECT payor_key, id, payee_bank, payee_account_no, payment_amount, payment_method, payor_account_no,
         'payment_avro' AS source
  FROM payment_avro
  EMIT CHANGES;

INSERT INTO all_payments WITH (QUERY_ID = 'insert_payment_protobuf')
  SELECT payor_key, id, payee_bank, payee_account_no, payment_amount, payment_method, payor_account_no,
         'payment_protobuf' AS source
  FROM payment_protobuf
  EMIT CHANGES;

-- The same over weeks that overlap: splitting slowly.

CREATE TABLE ksqldb_structuring_weeks
  WITH (KAFKA_TOPIC = 'ksqldb_structuring_weeks', KEY_FORMAT = 'JSON', VALUE_FORMAT = 'JSON', PARTITIONS = 6) AS
  SELECT payor_account_no AS k_payor_account_no, ${payee_bank} AS k_payee_bank, payee_account_no AS k_payee_account_no,
         AS_VALUE(payor_account_no) AS payor_account_no, AS_VALUE(${payee_bank}) AS payee_bank, AS_VALUE(payee_account_no) AS payee_account_no,
         WINDOWSTART AS window_start,
         WINDOWEND AS window_end,
         COUNT(*) AS payment_count,
         SUM(CAST(payment_amount AS DECIMAL(18, 2))) AS total_amount,
         MAX(payment_amount) AS max_amount,
         COLLECT_LIST(id) AS payment_ids
  FROM all_payments
  WINDOW HOPPING (SIZE ${window}, ADVANCE BY ${advance}, GRACE PERIOD ${grace})
  WHERE payment_amount >= ${amount_from} AND payment_amount < ${amount_below}
  GROUP BY payor_account_no, ${payee_bank}, payee_account_no
  HAVING SUM(CAST(payment_amount AS DECIMAL(18, 2))) > ${total_above}
     AND COUNT(*) >= ${min_payments}
  EMIT CHANGES;

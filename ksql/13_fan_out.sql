-- One payor, many payees: a sum spread over accounts.

CREATE TABLE ksqldb_fan_out
  WITH (KAFKA_TOPIC = 'ksqldb_fan_out', KEY_FORMAT = 'JSON', VALUE_FORMAT = 'JSON', PARTITIONS = 6) AS
  SELECT payor_account_no AS k_payor_account_no,
         AS_VALUE(payor_account_no) AS payor_account_no,
         WINDOWSTART AS window_start,
         WINDOWEND AS window_end,
         COUNT(*) AS payment_count,
         SUM(CAST(payment_amount AS DECIMAL(18, 2))) AS total_amount,
         MAX(payment_amount) AS max_amount,
         COLLECT_LIST(id) AS payment_ids
  FROM all_payments
  WINDOW HOPPING (SIZE ${window}, ADVANCE BY ${advance}, GRACE PERIOD ${grace})
  WHERE payment_amount >= ${amount_from} AND payment_amount < ${amount_below}
  GROUP BY payor_account_no
  HAVING SUM(CAST(payment_amount AS DECIMAL(18, 2))) > ${total_above}
     AND ARRAY_LENGTH(COLLECT_SET(${payee_bank} + '/' + CAST(payee_account_no AS VARCHAR))) >= ${min_distinct}
  EMIT CHANGES;

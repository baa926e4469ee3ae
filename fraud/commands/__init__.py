"""The commands that are no processes: comparison, evaluation, ksqlDB, an account's data."""

"""Structuring detection: rules, windows, the exactly-once loop, replay, and the comparison with ksqlDB."""

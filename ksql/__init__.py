"""The streams of payments and the rules, as SQL for ksqlDB; numbers come from `fraud/rules.toml`."""

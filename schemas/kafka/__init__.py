"""Everything about Kafka that service and fraud share, and all that reaches into aiokafka's private parts."""

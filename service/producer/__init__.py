"""Records to Kafka: queued by partition, sent in batches, reported within the deadline."""

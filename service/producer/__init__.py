"""From payments handed in to Kafka's acknowledgement: queues by partition, batches, delivery reports."""

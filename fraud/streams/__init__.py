"""Exactly-once processing on aiokafka, in Kafka Streams' words: stages, tasks, workers, partition groups."""

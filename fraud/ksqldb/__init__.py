"""The rules as SQL on a ksqlDB server: client, statements, deployment."""

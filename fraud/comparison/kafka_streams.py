"""Kafka Streams as the second engine."""


def applications_prefix(app: str) -> str:
    """The beginning of the names of an installation's applications; rule and fingerprint follow."""
    return f"{app}-streams-"

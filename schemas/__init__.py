"""Agreements of all programs: the payment, its three formats, the registry, the topics, the way to Kafka.

Nothing here knows of `service` or `fraud`; both know of this.
"""

__version__ = "1.0.0"

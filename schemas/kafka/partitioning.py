"""Partition of a key: murmur2 with Kafka's seed, as Kafka's own producers have it.

Source: `org.apache.kafka.common.utils.Utils.murmur2`. aiokafka has it in Python, at up to 25 times the time.
"""

from collections.abc import Iterable
from itertools import repeat

from murmurhash2 import murmurhash2

_SEED = 0x9747B28C


def partitions_of(keys: Iterable[bytes], partitions: int) -> list[int]:
    """The partition of each key in a topic with that many."""
    return [(hashed & 0x7FFFFFFF) % partitions for hashed in map(murmurhash2, keys, repeat(_SEED))]


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key in a topic with that many."""
    hashed: int = murmurhash2(key, _SEED)
    return (hashed & 0x7FFFFFFF) % partitions

"""Which partition a key belongs to: murmur2, as Kafka's own producers have it, remembered for keys that recur."""

from functools import lru_cache

from aiokafka.partitioner import murmur2

_REMEMBERED = 2**18


@lru_cache(maxsize=_REMEMBERED)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key in a topic with that many."""
    hashed: int = murmur2(key)
    return (hashed & 0x7FFFFFFF) % partitions

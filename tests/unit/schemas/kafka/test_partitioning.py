"""Partitions of keys: those that Kafka's own producers choose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.kafka.partitioning import partition_of, partitions_of

MURMUR2 = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
"""Hashes by key, from Kafka's own test (org.apache.kafka.common.utils.UtilsTest, testMurmur2)."""


@pytest.mark.parametrize("key", MURMUR2)
@pytest.mark.parametrize("partitions", [1, 6, 2**31 - 1])
def test_a_key_lies_where_kafkas_own_hash_puts_it(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == (MURMUR2[key] & 0x7FFFFFFF) % partitions


@given(st.lists(st.binary()), st.integers(1, 1000))
def test_keys_together_lie_where_each_lies_alone(keys: list[bytes], partitions: int) -> None:
    assert partitions_of(keys, partitions) == [partition_of(key, partitions) for key in keys]

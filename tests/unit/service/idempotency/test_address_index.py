"""The index of addresses: the last of each id, for its time, in little memory."""

import os
import sys
import uuid

import pytest

from service.idempotency import address_index
from service.idempotency.address_index import AddressIndex


def ids(kind: str, number: int) -> list[bytes]:
    if kind == "random":
        return [os.urandom(16) for _ in range(number)]
    if kind == "counted":
        return [uuid.UUID(int=count).bytes for count in range(number)]
    return [uuid.uuid1(node=7, clock_seq=3).bytes for _ in range(number)]


@pytest.mark.parametrize(
    ("seconds", "max_slice"), [(0, 9999), (300, 9999), (0, 2000)], ids=["at once", "later", "in a full slice"]
)
@pytest.mark.parametrize("kind", ["random", "counted", "by time"])
def test_each_id_has_its_last_address_whatever_ids_look_like(
    kind: str, seconds: int, max_slice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_index, "MAX_SLICE", max_slice)
    index = AddressIndex(600)
    *old, new = ids(kind, 2001)
    index.add(old, 1 << 32, now=0)
    index.add(old[:500], (1 << 32) + 1, now=seconds)
    addresses = [(1 << 32) + 1] * 500 + [1 << 32] * 1500
    assert [index.find(payment_id) for payment_id in old] == addresses
    assert index.find_all([*old, new]) == dict(zip(old, addresses, strict=True))
    assert index.find(new) is None


def test_an_address_is_forgotten_after_its_time_and_its_bytes_go() -> None:
    index, (early, middle, late) = AddressIndex(40), ids("random", 3)
    index.add([early], 1, now=100)
    index.add([middle], 2, now=109)
    index.add([late], 3, now=110)
    index.forget(before=109)
    assert index.find(early) == 1, "as long as one of its slice counts"
    index.forget(before=110)
    assert [index.find(early), index.find(middle), index.find(late)] == [None, None, 3]
    assert sum(len(shard) for part in index._slices for shard in part.shards) == 1
    for _ in range(2 * address_index.SHARDS):
        index.forget(before=110)
    assert index._forgotten == []


@pytest.mark.parametrize("number", [350_000, 1_400_000], ids=["dictionaries half empty", "just grown"])
def test_a_payment_takes_less_than_a_hundred_bytes(number: int) -> None:
    index = AddressIndex(600)
    index.add(ids("random", number), 1 << 32, now=0)
    shards = [shard for part in index._slices for shard in part.shards]
    size = sum(sys.getsizeof(shard) + sum(map(sys.getsizeof, shard)) for shard in shards)
    assert size / number < 100

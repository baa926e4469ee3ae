"""The index of addresses: the last of each id, for its time, in little memory."""

import os
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


@pytest.mark.parametrize("kind", ["random", "counted", "by time"])
def test_each_id_has_its_last_address_whatever_ids_look_like(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_index, "BUCKETS", 16)  # so that buckets are full
    index = AddressIndex()
    *indexed, unknown = ids(kind, 2001)
    index.add(indexed, 1 << 32, since=0)
    index.add(indexed[:500], (1 << 32) + 1, since=0)
    assert [index.find(payment_id) for payment_id in indexed] == [(1 << 32) + 1] * 500 + [1 << 32] * 1500
    assert index.find(unknown) is None


def test_bytes_across_two_entries_are_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_index, "BUCKETS", 1)
    index = AddressIndex()
    index.add([b"a" * 16, b"b" * 16], 7, since=0)
    for at in range(1, 24):
        assert index.find(bytes(index._buckets[0] or b"")[at : at + 16]) is None


def test_an_address_is_forgotten_by_its_time_and_its_bytes_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_index, "BUCKETS_A_SWEEP", address_index.BUCKETS)
    index, (early, late) = AddressIndex(), ids("random", 2)
    index.add([early], 1, since=10)
    index.add([late], 2, since=20)
    index.forget(before=10)
    assert index.find(early) == 1
    index.forget(before=15)
    assert (index.find(early), index.find(late)) == (None, 2)
    assert sum(len(bucket or b"") for bucket in index._buckets) == 24


def test_a_payment_takes_less_than_forty_bytes() -> None:
    index, number = AddressIndex(), 200_000
    index.add(ids("random", number), 1, since=0)
    buckets = [bucket for bucket in index._buckets if bucket is not None]
    headers = sum(bytearray().__sizeof__() for _ in buckets)
    assert (sum(bucket.__sizeof__() for bucket in buckets) - headers) / number < 40

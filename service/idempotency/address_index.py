"""Addresses in the log by payment id, as few bytes as can be found again in about a microsecond.

Ids and addresses stand one after the other in buckets of bytes, chosen by the id's hash and searched from the end: the
last address of an id counts. A dictionary takes five times the memory, most of it for objects around the bytes.
"""

from collections import deque
from collections.abc import Iterable

from service.idempotency.fingerprints import ID_BYTES

BUCKETS = 1 << 17
"""With six million ids, some forty-five stand in each."""
BUCKETS_A_SWEEP = 1 << 8

_ADDRESS_BYTES = 8
_STEP = ID_BYTES + _ADDRESS_BYTES


class AddressIndex:
    """Addresses by id, until they are too old; later addresses are larger."""

    def __init__(self) -> None:
        self._buckets: list[bytearray | None] = [None] * BUCKETS
        self._batches: deque[tuple[int, int]] = deque()
        self._oldest = 0
        self._swept = 0

    def find(self, payment_id: bytes) -> int | None:
        """Find the last address of an id."""
        bucket = self._buckets[hash(payment_id) % BUCKETS]
        if not bucket:
            return None
        at = bucket.rfind(payment_id)
        while at % _STEP and at >= 0:  # bytes that look like the id, across two entries
            at = bucket.rfind(payment_id, 0, at + ID_BYTES - 1)
        if at < 0:
            return None
        address = _address(bucket, at)
        return address if address >= self._oldest else None

    def find_all(self, ids: Iterable[bytes]) -> dict[bytes, int]:
        """Find the last addresses of those ids that have one."""
        buckets = self._buckets
        return {
            payment_id: address
            for payment_id in ids
            if (bucket := buckets[hash(payment_id) % BUCKETS])
            and payment_id in bucket
            and (address := self.find(payment_id)) is not None
        }

    def add(self, ids: Iterable[bytes], address: int, since: int) -> None:
        """Add an address of ids; `since` is the time, in seconds, by which it is forgotten."""
        buckets, suffix = self._buckets, address.to_bytes(_ADDRESS_BYTES, "little")
        for payment_id in ids:
            number = hash(payment_id) % BUCKETS
            bucket = buckets[number]
            if bucket is None:
                bucket = buckets[number] = bytearray()
            bucket += payment_id + suffix
        self._batches.append((since, address))

    def forget(self, before: int) -> None:
        """Forget addresses from before a time: some buckets a call, so that none takes long."""
        while self._batches and self._batches[0][0] < before:
            self._oldest = self._batches.popleft()[1] + 1
        for number in range(self._swept, self._swept + BUCKETS_A_SWEEP):
            if bucket := self._buckets[number]:
                self._trim(bucket)
        self._swept = (self._swept + BUCKETS_A_SWEEP) % BUCKETS

    def _trim(self, bucket: bytearray) -> None:
        """Delete the entries at a bucket's beginning that are too old."""
        end = 0
        while end < len(bucket) and _address(bucket, end) < self._oldest:
            end += _STEP
        del bucket[:end]


def _address(bucket: bytearray, at: int) -> int:
    return int.from_bytes(bucket[at + ID_BYTES : at + _STEP], "little")

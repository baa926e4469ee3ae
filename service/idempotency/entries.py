"""Entries of the log: each a receipt of a payment id, or a claim on it.

Many are packed at once, as columns: the ids, their fingerprints, and where their records stand. So each column is made
by one pass of Python's own C, and an id is found by another.
"""

import struct
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import msgspec

from service.idempotency.fingerprints import FINGERPRINT_BYTES, ID_BYTES, split_ids
from service.producer.outcomes import Receipt

FORMAT = 2
"""Version of the packed entries, of fingerprints, and of how they are put together in the log."""
NO_OWNER = 0
LONG_AGO = -(2**31)

_PLACE = struct.Struct("<iIiqq")
"""`since`, the owner, and partition, timestamp and offset, the latter less the row: so rows of a run are the same."""
_ROW_BYTES = ID_BYTES + FINGERPRINT_BYTES + _PLACE.size
_NOWHERE = Receipt(0, 0, 0)


class Entry(NamedTuple):
    """The log's entry of an id: a receipt, or the claim of the process `owner` that has the payment in flight."""

    fingerprint: bytes
    since: int
    """Seconds on the machine's monotonic clock."""
    owner: int
    receipt: Receipt


class Run(msgspec.Struct, gc=False, eq=False):
    """Entries that differ by id and fingerprint: receipts at consecutive offsets from the first, or claims."""

    ids: Sequence[bytes]
    fingerprints: Sequence[bytes]
    since: int
    owner: int = NO_OWNER
    first_receipt: Receipt = _NOWHERE

    def entry(self, payment_id: bytes) -> Entry:
        """Find the entry of an id."""
        row = self.ids.index(payment_id)
        return Entry(self.fingerprints[row], self.since, self.owner, self.first_receipt.after(row))


def pack(runs: Sequence[Run]) -> bytes:
    """Pack entries as the log has them."""
    columns = [*chain.from_iterable(run.ids for run in runs), *chain.from_iterable(run.fingerprints for run in runs)]
    row = 0
    for run in runs:
        receipt = run.first_receipt
        place = _PLACE.pack(run.since, run.owner, receipt.partition, receipt.timestamp, receipt.offset - row)
        columns.append(place * len(run.ids))
        row += len(run.ids)
    return b"".join(columns)


def packed_ids(packed: bytes) -> list[bytes]:
    """List the ids of packed entries."""
    return split_ids(packed[: len(packed) // _ROW_BYTES * ID_BYTES])


def packed_entry(packed: bytes, payment_id: bytes) -> Entry | None:
    """Find the entry of an id among packed ones."""
    rows = len(packed) // _ROW_BYTES
    at = packed.find(payment_id, 0, rows * ID_BYTES)
    while at % ID_BYTES and at >= 0:  # bytes that look like the id, across two of them
        at = packed.find(payment_id, at + 1, rows * ID_BYTES)
    if at < 0:
        return None
    row = at // ID_BYTES
    fingerprint_at = rows * ID_BYTES + row * FINGERPRINT_BYTES
    fingerprint = packed[fingerprint_at : fingerprint_at + FINGERPRINT_BYTES]
    places_at = rows * (ID_BYTES + FINGERPRINT_BYTES)
    since, owner, partition, timestamp, offset = _PLACE.unpack_from(packed, places_at + row * _PLACE.size)
    return Entry(fingerprint, since, owner, Receipt(partition, offset + row, timestamp))

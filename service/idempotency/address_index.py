"""Addresses in the log by payment id: of three million payments, in less than a microsecond and a hundred bytes each.

Keys are sixty bits of the ids' own hash, which is keyed anew in every process: an int of these takes 32 bytes, an id
takes 64. Two of six million are the same in one process of sixty thousand; the log tells them apart, and the earlier is
found no more. Dictionaries work on whole batches of keys, in C; there is one for each slice of the time for which
addresses count, so that what is old goes as a whole, and another before one grows so large that it would stand half
empty, and copying it would take long.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

SLICES = 4
"""Slices of the time for which addresses count: each takes a look of its own."""
MAX_SLICE = 2**20 * 2 // 3
"""Most addresses of a slice: so many fit into a dictionary before it grows to two million places."""
_SPARED_BITS = 4
"""Bits of a hash that its key does without; an int of sixty takes a third less memory than one of sixty-four."""


@dataclass
class _Slice:
    begins: int
    ends: int
    addresses: dict[int, int] = field(default_factory=dict)


class AddressIndex:
    """Addresses by id, until they are too old; later addresses are larger."""

    def __init__(self, keep_seconds: float) -> None:
        """Expect addresses to count for so many seconds."""
        self._slice_seconds = keep_seconds / SLICES
        self._slices: deque[_Slice] = deque()

    def find(self, payment_id: bytes) -> int | None:
        """Find the last address of an id."""
        return self.find_all((payment_id,)).get(payment_id)

    def find_all(self, ids: Sequence[bytes]) -> dict[bytes, int]:
        """Find the last addresses of those ids that have one."""
        keys = _keys(ids)
        last: dict[bytes, int] = {}
        for part in self._slices:
            addresses = part.addresses
            if not addresses.keys().isdisjoint(keys):
                last |= {
                    payment_id: addresses[key] for payment_id, key in zip(ids, keys, strict=True) if key in addresses
                }
        return last

    def add(self, ids: Collection[bytes], address: int, now: int) -> None:
        """Add an address of ids; `now` in seconds."""
        last = self._slices[-1] if self._slices else None
        if last is None or now >= last.begins + self._slice_seconds or len(last.addresses) + len(ids) > MAX_SLICE:
            last = _Slice(now, now)
            self._slices.append(last)
        last.ends = now
        last.addresses.update(dict.fromkeys(_keys(ids), address))

    def forget(self, before: int) -> None:
        """Forget slices that ended before a time."""
        while self._slices and self._slices[0].ends < before:
            self._slices.popleft()


def _keys(ids: Iterable[bytes]) -> list[int]:
    return [hash(payment_id) >> _SPARED_BITS for payment_id in ids]

"""Addresses in the log by payment id: of three million payments, in less than a microsecond and a hundred bytes each.

Keys are sixty bits of the ids' own hash, which is keyed anew in every process: an int of these takes 32 bytes, an id
takes 64. Two of six million are the same in one process of sixty thousand; the log tells them apart, and the earlier is
found no more. Dictionaries work on many keys at once, in C. There are some for each slice of the time for which
addresses count, so that what is old goes as a whole; and in a slice there is one for each shard of the keys: a
dictionary stands still for some 50 ms as it grows beyond a million, and a look at a second one takes as long as the
first, since neither is in the processor's cache.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

SLICES = 4
"""Slices of the time for which addresses count: each takes a look of its own."""
SHARDS = 24
MAX_SLICE = SHARDS * 2**18 * 2 // 3
"""Most addresses of a slice: so many fit into its dictionaries before they grow for longer than some milliseconds."""
_SPARED_BITS = 4
"""Bits of a hash that its key does without; an int of sixty takes a third less memory than one of sixty-four."""

Shard = dict[int, int]


@dataclass
class _Slice:
    begins: int
    ends: int
    size: int = 0
    shards: list[Shard] = field(default_factory=lambda: [{} for _ in range(SHARDS)])


class AddressIndex:
    """Addresses by id, until they are too old; later addresses are larger."""

    def __init__(self, keep_seconds: float) -> None:
        """Expect addresses to count for so many seconds."""
        self._slice_seconds = keep_seconds / SLICES
        self._slices: deque[_Slice] = deque()
        self._forgotten: list[Shard] = []

    def find(self, payment_id: bytes) -> int | None:
        """Find the last address of an id."""
        return self.find_all((payment_id,)).get(payment_id)

    def find_all(self, ids: Sequence[bytes]) -> dict[bytes, int]:
        """Find the last addresses of those ids that have one."""
        parts = _by_shard(ids)
        addresses: Shard = {}
        for part in self._slices:
            for number, keys in parts.items():
                shard = part.shards[number]
                if not shard.keys().isdisjoint(keys):
                    addresses |= {key: shard[key] for key in keys if key in shard}
        if not addresses:
            return {}
        return {payment_id: addresses[key] for payment_id in ids if (key := _key(payment_id)) in addresses}

    def add(self, ids: Collection[bytes], address: int, now: int) -> None:
        """Add an address of ids; `now` in seconds."""
        last = self._slices[-1] if self._slices else None
        if last is None or now >= last.begins + self._slice_seconds or last.size + len(ids) > MAX_SLICE:
            last = _Slice(now, now)
            self._slices.append(last)
        last.ends = now
        last.size += len(ids)
        shards = last.shards
        for hashed in map(hash, ids):
            shards[hashed % SHARDS][hashed >> _SPARED_BITS] = address

    def forget(self, before: int) -> None:
        """Forget slices that ended before a time, their memory by and by: one dictionary with each call."""
        while self._slices and self._slices[0].ends < before:
            self._forgotten += self._slices.popleft().shards
        if self._forgotten:
            self._forgotten.pop()


def _by_shard(ids: Iterable[bytes]) -> dict[int, list[int]]:
    """Part the keys of ids by shard."""
    parts: defaultdict[int, list[int]] = defaultdict(list)
    for hashed in map(hash, ids):
        parts[hashed % SHARDS].append(hashed >> _SPARED_BITS)
    return parts


def _key(payment_id: bytes) -> int:
    return hash(payment_id) >> _SPARED_BITS

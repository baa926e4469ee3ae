"""Shelves: the payments of a ledger in memory, by account.

On a shelf an account's payments are one bytes object: their sum, then a msgpack array of them in order of arrival. From
`VOLUME_PAYMENTS` on they are a `Volume`, where one more costs the same whatever their number.
"""

from collections.abc import Iterable, Iterator
from struct import Struct

from fraud.detection.packed import PackedPayment, encode, unpack_array
from fraud.detection.partition_keys import AccountKey

VOLUME_PAYMENTS = 64

_head = Struct(">QBH")
"""Sum in cents; then how msgpack begins an array of up to 65,535: its mark and its length."""
_ARRAY_16 = 0xDC
_SUM_BYTES = 8
_HEAD_BYTES = _head.size


class Volume:
    """Many payments of one account on one shelf, by the number of the account paid, with an index of their ids."""

    __slots__ = ("cents", "count", "ids", "sides")

    def __init__(self) -> None:
        self.count = 0
        self.cents = 0
        self.ids: set[int] = set()
        """Hashes of packed ids."""
        self.sides: dict[int, bytearray] = {}
        """By `payee_account_no`: a msgpack array of payments."""

    def put(self, payee: int, packed_id: bytes | str, cents: int, packed: bytes) -> None:
        """Add a payment."""
        self.count += 1
        self.cents += cents
        self.ids.add(hash(packed_id))
        side = self.sides.get(payee)
        if side is None:
            side = self.sides[payee] = bytearray(b"\xdd\0\0\0\0")
        side[1:5] = (int.from_bytes(side[1:5], "big") + 1).to_bytes(4, "big")
        side += packed


Part = bytes | Volume
"""An account's payments on one shelf."""
Parts = list[tuple["Shelf", Part]]
"""An account's payments on all shelves."""


class Shelf:
    """The payments that can be forgotten on the same day, by account."""

    __slots__ = ("count", "first_ms", "last_ms", "mask", "parts")

    def __init__(self, at_ms: int) -> None:
        self.parts: dict[AccountKey, Part] = {}
        self.count = 0
        self.mask = 0
        """The rules that count any of the payments, as bits."""
        self.first_ms = self.last_ms = at_ms
        """Bounds of the payments' times."""

    def put(
        self, account: AccountKey, payee: int, packed_id: bytes | str, cents: int, at_ms: int, packed: bytes
    ) -> Part:
        """Add a payment of an account; return what the account has now."""
        self.count += 1
        if at_ms < self.first_ms:
            self.first_ms = at_ms
        elif at_ms > self.last_ms:
            self.last_ms = at_ms
        part = self.parts.get(account)
        if part is None:
            part = self.parts[account] = _head.pack(cents, _ARRAY_16, 1) + packed
            return part
        if isinstance(part, bytes):
            total, _, count = _head.unpack_from(part)
            if count < VOLUME_PAYMENTS:
                head = _head.pack(total + cents, _ARRAY_16, count + 1)
                part = self.parts[account] = b"".join((head, part[_HEAD_BYTES:], packed))
                return part
            part = self.parts[account] = _volume(part)
        part.put(payee, packed_id, cents, packed)
        return part

    def __iter__(self) -> Iterator[tuple[AccountKey, PackedPayment]]:
        """All payments, those of an account together."""
        for account, part in self.parts.items():
            for payment in payments_of(part):
                yield account, payment


def _volume(part: bytes) -> Volume:
    volume = Volume()
    for payment in payments_of(part):
        volume.put(payment.payee_account_no, payment.packed_id, payment.cents, encode(payment))
    return volume


def bounds_of(part: Part) -> tuple[int, int]:
    """Count and sum in cents."""
    if isinstance(part, Volume):
        return part.count, part.cents
    total, _, count = _head.unpack_from(part)
    return count, total


def bounds_of_payee(part: Part, payee: int, signature: bytes) -> tuple[int, int]:
    """Bounds of the payments to one payee: their number, and their sum in cents.

    `signature` is what the packed payments to that payee have and hardly another.
    """
    if isinstance(part, bytes):
        return part.count(signature, _HEAD_BYTES), _head.unpack_from(part)[0]
    side = part.sides.get(payee)
    return (int.from_bytes(side[1:5], "big"), part.cents) if side else (0, 0)


def payments_of(part: Part, payee: int | None = None) -> list[PackedPayment]:
    """An account's payments, not in order of arrival where it is a volume; `payee` leaves others out where it can."""
    if isinstance(part, bytes):
        return unpack_array(part[_SUM_BYTES:])
    if payee is not None:
        side = part.sides.get(payee)
        return unpack_array(side) if side else []
    return [payment for side in part.sides.values() for payment in unpack_array(side)]


def payments_with_id(part: Part, packed_id: bytes | str) -> Iterable[PackedPayment]:
    """An account's payments with this id; hardly ever is there one, so what most often costs is to see that."""
    if isinstance(part, bytes):
        if (packed_id if isinstance(packed_id, bytes) else packed_id.encode()) not in part:
            return ()
    elif hash(packed_id) not in part.ids:
        return ()
    return [payment for payment in payments_of(part) if payment.packed_id == packed_id]

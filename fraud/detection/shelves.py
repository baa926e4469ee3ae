"""Shelves: the payments of a ledger in memory, by account.

On a shelf an account's payments are one bytes object: their sum, then a msgpack array of them in order of arrival. From
`VOLUME_PAYMENTS` on they are a `Volume`, where one more costs the same whatever their number.
"""

from collections.abc import Iterable, Iterator
from struct import Struct

from fraud.bank_names import fold_bank
from fraud.detection.packed import PackedPayment, encode, id_key, unpack, unpack_array
from fraud.detection.partition_keys import AccountKey
from fraud.windows import Counted

VOLUME_PAYMENTS = 64

_head = Struct(">QBH")
"""Sum in cents; then how msgpack begins an array of up to 65,535: its mark and its length."""
_ARRAY_16 = 0xDC
_SUM_BYTES = 8
_HEAD_BYTES = _head.size
_SIZE_BITS, _BEGIN_BITS = 16, 48
_SIZE_MASK, _BEGIN_MASK = (1 << _SIZE_BITS) - 1, (1 << _BEGIN_BITS) - 1
_SIDE_SHIFT = _SIZE_BITS + _BEGIN_BITS


Payee = tuple[int, str]
"""Account number and bank, however that is spelled."""


def payee_of(payment: Counted) -> Payee:
    """Tell whom a payment pays."""
    return payment.payee_account_no, fold_bank(payment.payee_bank)


class Volume:
    """Many payments of one account on one shelf, by payee, with an index of their ids."""

    __slots__ = ("cents", "count", "numbers", "places", "sides")

    def __init__(self) -> None:
        self.count = 0
        self.cents = 0
        self.sides: list[bytearray] = []
        """For each payee a msgpack array of payments."""
        self.numbers: dict[Payee, int] = {}
        """Where among the sides each payee's is."""
        self.places: dict[int, int | tuple[int, ...]] = {}
        """By hash of an id's key, the payments' sides, beginnings and sizes, each as one number."""

    def put(self, payment: Counted, packed_id: bytes | str, cents: int, packed: bytes) -> None:
        """Add a payment."""
        self.count += 1
        self.cents += cents
        payee = payee_of(payment)
        number = self.numbers.get(payee)
        if number is None:
            number = self.numbers[payee] = len(self.sides)
            self.sides.append(bytearray(b"\xdd\0\0\0\0"))
        side = self.sides[number]
        place = number << _SIDE_SHIFT | len(side) << _SIZE_BITS | len(packed)
        id_hash = hash(id_key(packed_id))
        others = self.places.setdefault(id_hash, place)
        if others is not place:
            self.places[id_hash] = (*(others if isinstance(others, tuple) else (others,)), place)
        side[1:5] = (int.from_bytes(side[1:5], "big") + 1).to_bytes(4, "big")
        side += packed

    def bounds_of(self, payee: Payee) -> tuple[int, int]:
        """Bounds of the payments to a payee: their number, and their sum in cents."""
        number = self.numbers.get(payee)
        return (0, 0) if number is None else (int.from_bytes(self.sides[number][1:5], "big"), self.cents)

    def with_id(self, key: bytes | str) -> list[PackedPayment]:
        """Find the payments with an id, by its key, and perhaps others."""
        places = self.places.get(hash(key), ())
        return unpack([self._at(place) for place in (places if isinstance(places, tuple) else (places,))])

    def _at(self, place: int) -> bytes:
        begin = place >> _SIZE_BITS & _BEGIN_MASK
        return bytes(self.sides[place >> _SIDE_SHIFT][begin : begin + (place & _SIZE_MASK)])


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
        self, account: AccountKey, payment: Counted, packed_id: bytes | str, cents: int, at_ms: int, packed: bytes
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
        part.put(payment, packed_id, cents, packed)
        return part

    def __iter__(self) -> Iterator[tuple[AccountKey, PackedPayment]]:
        """All payments, those of an account together."""
        for account, part in self.parts.items():
            for payment in payments_of(part):
                yield account, payment


def _volume(part: bytes) -> Volume:
    volume = Volume()
    for payment in payments_of(part):
        volume.put(payment, payment.packed_id, payment.cents, encode(payment))
    return volume


def bounds_of(part: Part) -> tuple[int, int]:
    """Count and sum in cents."""
    if isinstance(part, Volume):
        return part.count, part.cents
    total, _, count = _head.unpack_from(part)
    return count, total


def bounds_of_payee(part: bytes, signature: bytes) -> tuple[int, int]:
    """Bounds of the payments to one payee: their number, and their sum in cents.

    `signature` is what the packed payments to that payee have and hardly another.
    """
    return part.count(signature, _HEAD_BYTES), _head.unpack_from(part)[0]


def payments_of(part: Part, payee: Payee | None = None) -> list[PackedPayment]:
    """An account's payments, not in order of arrival where it is a volume; of that, `payee` leaves others out."""
    if isinstance(part, bytes):
        return unpack_array(part[_SUM_BYTES:])
    if payee is not None:
        number = part.numbers.get(payee)
        return [] if number is None else unpack_array(part.sides[number])
    return [payment for side in part.sides for payment in unpack_array(side)]


def payments_with_id(part: Part, key: bytes | str) -> Iterable[PackedPayment]:
    """An account's payments with an id, by its key; hardly ever is there one, so what costs is to see that."""
    if isinstance(part, bytes):
        if (key if isinstance(key, bytes) else key.encode()) not in part:
            return ()
        payments = payments_of(part)
    else:
        payments = part.with_id(key)
    return [payment for payment in payments if id_key(payment.packed_id) == key]

"""A payment packed: some 80 bytes instead of half a kilobyte of Python objects, the same in memory and on disk.

One payment is one msgpack array, see `PackedPayment`. Several of them are their concatenation, so adding one is adding
bytes. What identifies an account stands at the end, the bank before its account number: the bytes of a payee can be
looked for without decoding.
"""

from binascii import unhexlify
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, NamedTuple

import msgspec

from schemas.case import ListedPayment, uuid_text
from schemas.payment import Payment, exact_cents

FORMAT = 2
"""Version of what stands here; it is part of every changelog's."""

_SOURCES = ("payment_json", "payment_avro", "payment_protobuf")
"""Topics that are packed as their place here. The places are on disk, in changelogs: only ever add at the end."""

_NUMBERS: dict[str, int | str] = {topic: number for number, topic in enumerate(_SOURCES)}

_UUID_CHARACTERS, _UUID_BYTES, _CAPITALS_BYTES = 36, 16, 4

encode = msgspec.msgpack.Encoder().encode


class Origin(NamedTuple):
    """A record's place in Kafka."""

    topic: str
    partition: int
    offset: int


class PackedPayment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A packed payment, decoded; it has a `Payment`'s columns.

    `packed_id` is that of `pack_id`; `cents` the exact amount; `at_ms` since the epoch; `arrival` grows with each
    payment of a task; `source`, `partition` and `offset` say which record it came in.
    """

    packed_id: Any  # bytes or str: msgspec tells the two apart for nothing but Any
    cents: int
    at_ms: int
    arrival: int
    payment_method: str
    source: int | str
    partition: int
    offset: int
    payor_account_no: int
    payee_bank: str
    payee_account_no: int

    @property
    def id(self) -> str:
        """The payment's id as it came."""
        return id_text(self.packed_id)

    @property
    def payment_amount(self) -> float:
        """Dollars: of the double with at most two decimals that came, its cents are another form."""
        return self.cents / 100

    @property
    def origin(self) -> Origin:
        """The record that it came in."""
        topic = self.source if isinstance(self.source, str) else _SOURCES[self.source]
        return Origin(topic, self.partition, self.offset)


_decode = msgspec.msgpack.Decoder(list[PackedPayment]).decode


def pack(payment: Payment, at_ms: int, arrival: int, origin: Origin) -> bytes:
    """Pack a payment, see `PackedPayment`."""
    return pack_as(pack_id(payment.id), exact_cents(payment.payment_amount), payment, at_ms, arrival, origin)


def pack_as(packed_id: bytes | str, cents: int, payment: Payment, at_ms: int, arrival: int, origin: Origin) -> bytes:
    """The same, where the packed id and the cents are there already."""
    topic, partition, offset = origin
    return encode(
        (
            packed_id,
            cents,
            at_ms,
            arrival,
            payment.payment_method,
            _NUMBERS.get(topic, topic),
            partition,
            offset,
            payment.payor_account_no,
            payment.payee_bank,
            payment.payee_account_no,
        )
    )


def pack_id(text: str) -> bytes | str:
    """A UUID as 16 bytes, and 4 more if it has capitals, a bit for each digit; any other text as it is."""
    if len(text) == _UUID_CHARACTERS and text[8:24:5] == "----":
        digits = text.replace("-", "")
        try:
            raw = unhexlify(digits)
        except ValueError:
            return text
        if len(raw) == _UUID_BYTES:
            lower = digits.lower()
            return raw if digits == lower else raw + _capitals(digits, lower).to_bytes(_CAPITALS_BYTES, "big")
    return text


def _capitals(digits: str, lower: str) -> int:
    return sum(1 << place for place, (digit, small) in enumerate(zip(digits, lower, strict=True)) if digit != small)


def id_text(packed_id: bytes | str) -> str:
    """An id as it came."""
    if isinstance(packed_id, str):
        return packed_id
    text = uuid_text(packed_id[:_UUID_BYTES])
    if len(packed_id) == _UUID_BYTES:
        return text
    capitals, places = int.from_bytes(packed_id[_UUID_BYTES:], "big"), count()
    return "".join(char.upper() if char != "-" and capitals >> next(places) & 1 else char for char in text)


def id_key(packed_id: bytes | str) -> bytes | str:
    """The key of an id, which equal ids have in common: capitals make no other UUID (RFC 9562, section 4)."""
    return packed_id[:_UUID_BYTES] if isinstance(packed_id, bytes) else packed_id


def payee_bytes(payee_bank: str, payee_account_no: int) -> bytes:
    """The bytes that every packed payment to this payee ends with, and hardly another one."""
    return encode(payee_bank) + encode(payee_account_no)


def array_of(count: int, packed: Iterable[bytes]) -> bytes:
    """The `count` payments in these pieces as one msgpack array."""
    return b"".join((b"\xdd", count.to_bytes(4, "big"), *packed))


def unpack_array(array: bytes | bytearray) -> list[PackedPayment]:
    """Unpack an array of `array_of`. Raises msgspec.DecodeError, msgspec.ValidationError if it is not that."""
    return _decode(array)


def unpack(packed: Sequence[bytes]) -> list[PackedPayment]:
    """Payments that were packed one by one. Raises like `unpack_array`."""
    return _decode(array_of(len(packed), packed))


def list_payments(
    packed: Sequence[bytes] | Sequence[PackedPayment], cache: dict[int, ListedPayment] | None = None
) -> tuple[ListedPayment, ...]:
    """List a window's payments as its case does; of those that 0.x put on `payments` nobody knows the record.

    `cache` has those of the same task, by arrival, that another case lists, too: what is missing is put there.
    """
    payments: Sequence[PackedPayment] = unpack(packed) if packed and isinstance(packed[0], bytes) else packed  # type: ignore[arg-type, assignment]
    if cache is None:
        return tuple(map(_list_payment, payments))
    return tuple(
        [
            cache.get(payment.arrival) or cache.setdefault(payment.arrival, _list_payment(payment))
            for payment in payments
        ]
    )


def _list_payment(payment: PackedPayment) -> ListedPayment:
    source, packed_id = payment.source, payment.packed_id
    return ListedPayment(
        id_text(packed_id),
        payment.cents / 100,
        payment.payment_method,
        payment.at_ms,
        source if isinstance(source, str) else _SOURCES[source],
        payment.payor_account_no,
        payment.payee_bank,
        payment.payee_account_no,
        None if payment.partition < 0 else payment.partition,
        None if payment.offset < 0 else payment.offset,
    )

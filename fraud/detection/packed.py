"""A window's list of payments, packed: some 42 bytes each instead of half a kilobyte of Python objects.

One payment is one msgpack array: id, amount, time, method, source topic. A list of them is their concatenation, so
adding one is adding bytes, and cutting the list into pieces needs no decoding.
"""

from binascii import unhexlify
from collections.abc import Iterable

import msgspec

from schemas.case import ListedPayment, uuid_text
from schemas.payment import Payment

_SOURCES = ("payment_json", "payment_avro", "payment_protobuf")
"""Topics that are packed as their place here. The places are on disk, in changelogs: only ever add at the end."""

_PLACES: dict[str, int | str] = {topic: place for place, topic in enumerate(_SOURCES)}

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def pack(payment: Payment, at_ms: int, source: str) -> bytes:
    """One payment, made at `at_ms` (ms since the epoch) and read from the topic `source`."""
    amount, method = payment.payment_amount, payment.payment_method
    return _encode((_packed_id(payment.id), amount, at_ms, method, _PLACES.get(source, source)))


def _packed_id(text: str) -> bytes | str:
    """A UUID in its canonical, lower-case form as 16 bytes; any other text as it is, so that it comes back the same."""
    if len(text) == 36 and text[8:24:5] == "----" and text == text.lower():
        try:
            raw = unhexlify(text.replace("-", ""))
        except ValueError:
            return text
        if len(raw) == 16:
            return raw
    return text


def unpack(pieces: Iterable[bytes], count: int) -> list[ListedPayment]:
    """The `count` payments in these pieces of a list. Raises msgspec.DecodeError if they are not that."""
    packed = _decode(b"".join((b"\xdd", count.to_bytes(4, "big"), *pieces)))
    return [
        ListedPayment(
            packed_id if isinstance(packed_id, str) else uuid_text(packed_id),
            amount,
            method,
            at_ms,
            source if isinstance(source, str) else _SOURCES[source],
        )
        for packed_id, amount, at_ms, method, source in packed
    ]

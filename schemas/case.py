"""A case as it stands on `review_queue`: its type, its id, its one writing and its one reading.

A case is one rule, one group, one window. Its id follows from these three alone, so both engines, a replay and a
restart all arrive at the same one. `schemas/review_case.schema.json` is the same for whoever reads the topic.
"""

from hashlib import sha1
from typing import Annotated
from uuid import NAMESPACE_URL, uuid5

import msgspec
from msgspec import Meta

from schemas import wire_format
from schemas.errors import DECODE_ERRORS, UndertenError
from schemas.payment import AMOUNT_MAX, AccountNo, Time

NAMESPACE = uuid5(NAMESPACE_URL, "urn:underten:case")
"""12ed56c5-e13f-5e44-b607-4e4237d3f265. It must never change, or every case would be a new one."""

Count = Annotated[int, Meta(ge=0, le=2**53)]
DollarText = Annotated[str, Meta(pattern=r"\A[0-9]{1,15}\.[0-9]{2}\Z")]
"""Dollars as exact decimal text."""


class CaseError(UndertenError):
    """A record of `review_queue` is no case."""


class Group(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The values of a rule's `group_by` columns; those of the other columns are None, and absent in JSON."""

    payor_account_no: AccountNo | None = None
    payee_bank: str | None = None
    payee_account_no: AccountNo | None = None


class ListedPayment(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A payment of a case; `topic`, `partition` and `offset` say where it came in, `timestamp` is ms since the epoch.

    Of a window that only the second engine has found nothing but the ids are known, and records of earlier versions
    lack what came later: both sides of a payment, its partition and offset.
    """

    id: str
    payment_amount: Annotated[float, Meta(ge=0, le=AMOUNT_MAX)] | None = None
    payment_method: str | None = None
    timestamp: Time | None = None
    topic: str | None = None
    payor_account_no: AccountNo | None = None
    payee_bank: str | None = None
    payee_account_no: AccountNo | None = None
    partition: Count | None = None
    offset: Count | None = None


class Case(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A rule's window that fired. Times are ms since the epoch.

    `payments` are the first 1,000 in order of arrival; `payment_count` and the sums count all. `first_payment_at` is
    None where the second engine alone has found the window; `fired_at`, the time of the payment with which the rule
    first fired, is absent there, too, and in records that were written before cases had it.
    """

    case_id: str
    rule: str
    group: Group
    window_start: Time
    window_end: Time
    payment_count: Count
    total_amount: DollarText
    max_amount: float
    first_payment_at: Time | None
    last_payment_at: Time
    payments: tuple[ListedPayment, ...]
    fired_at: Time | None = None


def case_id(rule: str, start: int, group: tuple[int | str, ...]) -> str:
    """UUIDv5 of `rule|group values|window start`, the values joined with `|` in order of the rule's group_by.

    No two groups of a rule read the same: of their values only the bank is text.
    """
    return name_id(NAMESPACE.bytes, "|".join(map(str, (rule, *group, start))))


def name_id(namespace: bytes, name: str) -> str:
    """UUIDv5 (RFC 9562, section 5.5), as `uuid5` makes it, without its two objects on the way."""
    raw = bytearray(sha1(namespace + name.encode(), usedforsecurity=False).digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x50
    raw[8] = raw[8] & 0x3F | 0x80
    return uuid_text(bytes(raw))


def uuid_text(raw: bytes) -> str:
    """The canonical text of a UUID's 16 bytes; `str(UUID(bytes=raw))` at a third of the time."""
    pairs = raw.hex("-", 2)  # as aabb-ccdd-eeff-…: every second dash but the first is where it has to be
    return f"{pairs[:4]}{pairs[5:29]}{pairs[30:34]}{pairs[35:]}"


encode_case = msgspec.json.Encoder().encode
"""A case as JSON; on `review_queue` the wire format's header stands before it."""

_decode = msgspec.json.Decoder(Case).decode


def decode_case(value: bytes | None) -> Case:
    """A record's value, with the wire format's header or without; raises CaseError."""
    try:
        return _decode(wire_format.without_header(value or b""))
    except DECODE_ERRORS as error:
        raise CaseError(f"not a case: {error}") from None

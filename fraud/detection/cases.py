"""Cases: what a reviewer gets to see of a window that fired.

A case is one rule, one group, one window. Its id follows from these three alone, so both engines, a replay and a
restart all arrive at the same one.
"""

from hashlib import sha1
from uuid import NAMESPACE_URL, uuid5

import msgspec

from fraud.detection.packed import ListedPayment, unpack, uuid_text
from fraud.rules import Rule
from fraud.windows import Group, Window
from schemas.payment import dollars

NAMESPACE = uuid5(NAMESPACE_URL, "urn:underten:case")
"""12ed56c5-e13f-5e44-b607-4e4237d3f265. It must never change, or every case would be a new one."""


class Case(msgspec.Struct, frozen=True):
    """A rule's window as it stands on `review_queue`. Times are ms since the epoch; `group` is by column name.

    `payments` are the first 1,000 in order of arrival; `payment_count` and the sums count all.
    """

    case_id: str
    rule: str
    group: dict[str, int | str]
    window_start: int
    window_end: int
    payment_count: int
    total_amount: str
    """Dollars, exact decimal text."""
    max_amount: float
    first_payment_at: int
    last_payment_at: int
    payments: tuple[ListedPayment, ...]


def case_id(rule: str, start: int, group: Group) -> str:
    """UUIDv5 of `rule|group values|window start`, the values joined with `|` in order of the rule's group_by.

    No two groups of a rule read the same: of their values only the bank is text.
    """
    name = "|".join(map(str, (rule, *group, start)))
    # As `uuid5` does it (RFC 9562, section 5.5), without its two objects on the way.
    raw = bytearray(sha1(NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x50
    raw[8] = raw[8] & 0x3F | 0x80
    return uuid_text(bytes(raw))


def case(rule: Rule, start: int, group: Group, window: Window) -> Case:
    """The case of a window."""
    return Case(
        case_id=case_id(rule.name, start, group),
        rule=rule.name,
        group=dict(zip(rule.group_by, group, strict=True)),
        window_start=start,
        window_end=start + rule.size_ms,
        payment_count=window.payment_count,
        total_amount=dollars(window.total_cents),
        max_amount=window.max_amount,
        first_payment_at=window.first_at,
        last_payment_at=window.last_at,
        payments=tuple(unpack(window.pieces(), window.listed)),
    )

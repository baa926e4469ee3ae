"""Payments that count less often than they come: too late for a window, or again with an id that was counted already.

Records of `payment_late` and `payment_repeated`. Times are ms since the epoch.
"""

import msgspec

from fraud.deduplication import Repeated
from fraud.detection.packed import Origin, unpack
from fraud.windows import Group, RuleWindows
from schemas.case import case_id
from schemas.payment import FIELDS, NormalisedPayment, Payment


class LatePayment(msgspec.Struct, frozen=True):
    """A payment that came after its window had closed."""

    case_id: str
    rule: str
    group: dict[str, int | str]
    window_start: int
    window_end: int
    stream_time: int
    timestamp: int
    payment: NormalisedPayment


class RepeatedWindow(msgspec.Struct, frozen=True):
    """A window that would have counted a payment a second time."""

    case_id: str
    rule: str
    group: dict[str, int | str]
    window_start: int


class TopicPosition(msgspec.Struct, frozen=True):
    """A record on a raw topic. Partition and offset are -1 where an earlier version did not keep them."""

    topic: str
    partition: int
    offset: int
    timestamp: int


class RepeatedPayment(msgspec.Struct, frozen=True):
    """A payment that came again: it counts in none of `windows`, because the one at `first` is counted.

    `differs` are the fields in which the two are not the same; empty for a payment that was just sent twice.
    """

    id: str
    differs: tuple[str, ...]
    at: TopicPosition
    first: TopicPosition
    windows: tuple[RepeatedWindow, ...]
    payment: NormalisedPayment


def _by_column(windows: RuleWindows, group: Group) -> dict[str, int | str]:
    return dict(zip(windows.rule.group_by, group, strict=True))


def late_payment(
    windows: RuleWindows, start: int, group: Group, payment: Payment, origin: Origin, at_ms: int
) -> LatePayment:
    """The record of a payment that came too late for one window."""
    return LatePayment(
        case_id=case_id(windows.rule.name, start, group),
        rule=windows.rule.name,
        group=_by_column(windows, group),
        window_start=start,
        window_end=windows.window_end(start),
        stream_time=windows.stream_time,
        timestamp=at_ms,
        payment=NormalisedPayment.of(payment, *origin),
    )


def repeated_payment(repeated: Repeated, payment: Payment, origin: Origin, at_ms: int) -> RepeatedPayment:
    """The record of a payment that came again."""
    (first,) = unpack([repeated.first])
    return RepeatedPayment(
        id=payment.id,
        differs=tuple(name for name in FIELDS if name != "id" and getattr(first, name) != getattr(payment, name)),
        at=TopicPosition(*origin, at_ms),
        first=TopicPosition(*first.origin, first.at_ms),
        windows=tuple(
            RepeatedWindow(
                case_id(windows.rule.name, start, group), windows.rule.name, _by_column(windows, group), start
            )
            for windows, start, group in repeated.windows
        ),
        payment=NormalisedPayment.of(payment, *origin),
    )

"""From a rule's window to its case."""

from fraud.detection.packed import unpack
from fraud.rules import Rule
from fraud.windows import Group, Window
from schemas import case as cases
from schemas.case import Case, case_id
from schemas.payment import dollars


def case(rule: Rule, start: int, group: Group, window: Window) -> Case:
    """The case of a window."""
    return Case(
        case_id=case_id(rule.name, start, group),
        rule=rule.name,
        group=cases.Group(**dict(zip(rule.group_by, group, strict=True))),  # type: ignore[arg-type]
        window_start=start,
        window_end=start + rule.size_ms,
        payment_count=window.payment_count,
        total_amount=dollars(window.total_cents),
        max_amount=window.max_amount,
        first_payment_at=window.first_at,
        last_payment_at=window.last_at,
        payments=tuple(unpack(window.pieces(), window.listed)),
    )

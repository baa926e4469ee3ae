"""From a rule's window to its case."""

import msgspec

from fraud.detection.packed import list_payments
from fraud.rules import Rule
from fraud.windows import Group, Window
from schemas import case as cases
from schemas.case import Case, ListedPayment, case_id, encode_case
from schemas.payment import dollars

MAX_CASE_BYTES = 900_000
"""Kafka takes 1,048,588 bytes as a record by default (message.max.bytes)."""


def case(rule: Rule, start: int, group: Group, window: Window, cache: dict[int, ListedPayment] | None = None) -> Case:
    """The case of a window; `cache` as `list_payments` has it."""
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
        payments=list_payments(window.payments, cache),
        fired_at=window.fired_at,
    )


def case_json(case: Case) -> bytes:
    """A case as JSON, small enough for a broker: where it must be, without the banks of the payments that it lists."""
    value = encode_case(case)
    if len(value) <= MAX_CASE_BYTES:
        return value
    payments = tuple(msgspec.structs.replace(payment, payee_bank=None) for payment in case.payments)
    return encode_case(msgspec.structs.replace(case, payments=payments))

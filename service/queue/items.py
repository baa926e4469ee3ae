"""Cases as they are answered: from the view's columns to members."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from fraud.comparison.compare import Row, WindowKey, window_key
from fraud.rules import COLUMNS
from schemas.payment import dollars
from service.queue.view import QueueView

JsonObject = dict[str, Any]
"""A case, a subject or a part of one as it is answered."""

NUMBERS = 10_000
"""A case's version is its record's place on the topic, times this, and the number of its last decision."""

_CASE_COLUMNS = (
    "c.case_id, c.rule, c.payor, c.payee_bank, c.payee, c.window_start, c.window_end, c.payment_count, c.total_cents, "
    "c.max_amount, c.first_payment_at, c.last_payment_at, iif(c.fired_known, c.fired_at, NULL), c.fired_at, "
    "s.subject_id, coalesce((SELECT payments FROM late WHERE case_id = c.case_id), 0), c.status, {agreement}, "
    f"c.record * {NUMBERS} + c.decisions, c.reviewer, c.outcome, c.decided_at, c.decisions, c.reopened, c.growth, "
    "c.proposal, c.snoozed_until, c.updated_at"
)
_CASE_MEMBERS = (
    *("case_id", "rule", "payor_account_no", "payee_bank", "payee_account_no", "window_start", "window_end"),
    *("payment_count", "total_amount", "max_amount", "first_payment_at", "last_payment_at", "fired_at", "due_from"),
    *("subject_id", "late_payments", "status", "agreement", "version", "reviewer", "outcome", "decided_at"),
    *("decisions", "reopened", "growth", "proposal", "snoozed_until", "updated_at"),
)
FROM_CASES = "FROM cases c JOIN subjects s ON s.id = c.subject"
"""The tables of `case_columns`."""

decode_payments = msgspec.json.Decoder(list[dict[str, Any]]).decode


def case_columns(view: QueueView) -> str:
    """SQL of the columns of a case, for `case_item`."""
    return _CASE_COLUMNS.format(agreement=view.agreement_now("c"))


def case_item(row: Sequence[Any], payments: bytes | None = None) -> JsonObject:
    """Make a case of a row that begins with its columns, and of its payments as JSON."""
    item = dict(zip(_CASE_MEMBERS, row, strict=False))
    group = {name: value for name in COLUMNS if (value := item.pop(name)) is not None}
    item |= {"group": group, "total_amount": dollars(item["total_amount"])}
    for name in ("reopened", "growth", "proposal"):
        item[name] = item[name] and msgspec.Raw(item[name].encode())
    return item if payments is None else {**item, "payments": msgspec.Raw(payments)}


def subject_version(cases: Iterable[JsonObject]) -> int:
    """Return the version of the subject that has these cases: the sum of their records' places and decisions."""
    return sum(sum(divmod(case["version"], NUMBERS)) for case in cases)


def window_key_of(item: JsonObject) -> WindowKey:
    """Return the window of a case."""
    return window_key(item["rule"], item["window_start"], item["group"])


def row_of_item(item: JsonObject, listed: bytes) -> Row:
    """Return Python's row of a case, as the engines are compared by."""
    ids = tuple(sorted(payment["id"] for payment in decode_payments(listed)))
    figures = (item["window_end"], item["payment_count"], Decimal(item["total_amount"]), item["max_amount"])
    return Row(*figures, ids)

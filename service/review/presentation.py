"""Cases and subjects as they are answered: with the reason in numbers, and the day on which a report is due."""

import time

from aiohttp import web

from fraud.detection.reasons import reason
from fraud.rules import DAY_MS
from schemas.payment import LATEST
from service.queue.decisions import STATUSES
from service.queue.items import JsonObject
from service.settings import RULES, SETTINGS

UNSETTLED = frozenset({"open", "in_review"})
assert set(STATUSES) > UNSETTLED


def present_case(app: web.Application, case: JsonObject) -> JsonObject:
    """Add a case's reason and due date."""
    rule = next((rule for rule in app[RULES] if rule.name == case["rule"]), None)
    item = {**case, "reason": reason(rule, case["payment_count"], case["total_amount"])}
    fired_at = item.pop("due_from")
    return item | _due(app, fired_at, case["status"])


def present_subject(app: web.Application, subject: JsonObject) -> JsonObject:
    """Add a subject's reason and due date."""
    text = reason(None, subject["payment_count"], subject["total_amount"])
    span = _span((subject["last_payment_at"] or 0) - (subject["first_payment_at"] or subject["last_payment_at"] or 0))
    return {**subject, "reason": f"{text}{span}"} | _due(app, subject["fired_at"], subject["status"])


def _due(app: web.Application, fired_at: int, status: str) -> JsonObject:
    """12 CFR 21.11(d), 31 CFR 1020.320(b)(3): 30 days after the facts are known that may be a basis for a report."""
    due_at = min(fired_at + app[SETTINGS].service.report_due_days * DAY_MS, LATEST)
    return {"due_at": due_at, "overdue": status in UNSETTLED and due_at < time.time() * 1000}


_UNITS = ((DAY_MS, "day"), (3_600_000, "hour"), (60_000, "minute"))


def _span(ms: int) -> str:
    """A span of time in words, in days, hours or minutes, rounded up."""
    for size, unit in _UNITS:
        if ms >= size:
            number = -(-ms // size)
            return f", in {number} {unit}{'s' if number > 1 else ''}"
    return ", in a minute" if ms else ""

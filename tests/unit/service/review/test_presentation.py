"""A case and a subject as they are answered: a reason in numbers, and when a report is due."""

import time
from typing import Any

import pytest
from aiohttp import web

from fraud.rules import DAY_MS, load
from schemas.payment import LATEST
from service.review.presentation import present_case, present_subject
from service.settings import RULES, SETTINGS, ServiceSettings, Settings


@pytest.fixture
def app() -> web.Application:
    app = web.Application()
    app[RULES] = tuple(load())
    app[SETTINGS] = Settings(service=ServiceSettings(report_due_days=10))
    return app


def subject(first: int | None, last: int, status: str = "open", fired: int = 0) -> dict[str, Any]:
    figures = {"payment_count": 3, "total_amount": "12000.03", "fired_at": fired, "status": status}
    return figures | {"first_payment_at": first, "last_payment_at": last}


@pytest.mark.parametrize(
    ("ms", "span"),
    [
        (0, ""),
        (1, ", in a minute"),
        (60_000, ", in 1 minute"),
        (60_001, ", in 2 minutes"),
        (3_600_000, ", in 1 hour"),
        (2 * DAY_MS, ", in 2 days"),
        (2 * DAY_MS + 1, ", in 3 days"),
    ],
)
def test_a_subjects_reason_says_in_how_long_it_took_place_rounded_up(app: web.Application, ms: int, span: str) -> None:
    reason = present_subject(app, subject(1000, 1000 + ms))["reason"]
    assert reason.endswith(f"$12,000.03{span}")


def test_where_no_first_time_is_known_no_span_is_said(app: web.Application) -> None:
    assert present_subject(app, subject(None, 5))["reason"].endswith("$12,000.03")


@pytest.mark.parametrize(
    ("days_ago", "status", "overdue"),
    [(11, "open", True), (11, "in_review", True), (9, "open", False), (11, "cleared", False), (11, "escalated", False)],
)
def test_a_report_is_overdue_after_the_days_that_are_set_while_nobody_has_settled_it(
    app: web.Application, *, days_ago: int, status: str, overdue: bool
) -> None:
    fired = int(time.time() * 1000) - days_ago * DAY_MS
    item = present_subject(app, subject(1, 2, status, fired))
    assert (item["due_at"], item["overdue"]) == (fired + 10 * DAY_MS, overdue)


def test_a_report_is_due_before_the_end_of_all_times_that_can_be_written(app: web.Application) -> None:
    assert present_subject(app, subject(1, LATEST, fired=LATEST))["due_at"] == LATEST


def test_a_case_is_due_by_when_it_fired_first_and_names_its_rules_conditions(app: web.Application) -> None:
    case = {"rule": "structuring", "payment_count": 3, "total_amount": "12000.03", "status": "open", "due_from": 5}
    item = present_case(app, case)
    assert item["due_at"] == 5 + 10 * DAY_MS
    assert "due_from" not in item
    assert "10,000" in item["reason"]
    assert present_case(app, case | {"rule": "gone"})["reason"]

"""A decision on a subject: which of its cases it is one on, and why on none."""

from typing import Any

import pytest

from service.http.problems import Problem
from service.queue.decisions import DecisionRequest
from service.review.decide import _concerns, _lines, _why_none

STATUSES = ("open", "in_review", "snoozed", "cleared", "escalated")


def asks(decision: Any, reviewer: str = "ann") -> DecisionRequest:
    return DecisionRequest(decision=decision, reviewer=reviewer)


def case(status: str, reviewer: str | None = None) -> dict[str, Any]:
    return {"status": status, "reviewer": reviewer}


@pytest.mark.parametrize(
    ("decision", "statuses"),
    [
        ("note", STATUSES),
        ("reopen", ("in_review", "snoozed", "cleared", "escalated")),
        ("claim", ("open", "snoozed")),
        ("clear", ("open", "in_review", "snoozed")),
        ("escalate", ("open", "in_review", "snoozed")),
        ("assign", ("open", "in_review", "snoozed")),
        ("snooze", ("open", "in_review", "snoozed")),
    ],
)
def test_a_decision_concerns_the_cases_that_it_can_change(decision: str, statuses: tuple[str, ...]) -> None:
    assert tuple(status for status in STATUSES if _concerns(asks(decision), case(status, "ann"))) == statuses


def test_a_claim_concerns_what_somebody_else_has_so_that_it_is_refused_by_name() -> None:
    assert _concerns(asks("claim"), case("in_review", "bob"))


@pytest.mark.parametrize(
    ("decision", "cases", "why"),
    [
        ("reopen", [case("open")], "it is open"),
        ("claim", [case("in_review", "ann")], "you have claimed it already"),
        ("clear", [case("cleared", "bob"), case("escalated", "bob")], "none of its cases is open: cleared, escalated"),
    ],
)
def test_a_decision_on_none_of_its_cases_says_why(decision: str, cases: list[dict[str, Any]], why: str) -> None:
    assert _why_none(asks(decision), cases).startswith(why)


def test_each_line_of_many_says_what_became_of_it() -> None:
    problem = Problem(409, "conflict", "bob was faster")
    stands, refused = _lines("case_id", ["a", "b"], [None, problem], {"a": 3})
    assert stands == {"case_id": "a", "status": 201, "version": 3}
    assert (refused["status"], refused["detail"]) == (409, "bob was faster")
    assert "version" not in refused

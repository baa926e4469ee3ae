"""A decision on a subject: which of its cases it is one on, and why on none."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from fraud.rules import load
from service.http.problems import Problem
from service.http.request_ids import identify
from service.metrics import METRICS, Metrics
from service.queue import subject_reads
from service.queue.batch import TopicRecord
from service.queue.decision_log import DECISION_LOG
from service.queue.decisions import Decision, DecisionRequest
from service.queue.view import QUEUE_VIEW, QueueView
from service.review.decide import SubjectTarget, _concerns, _decide_subjects, _lines, _why_none
from service.review.parameters import parse_query
from service.settings import RULES, SETTINGS, Settings
from tests.unit.service.queue.conftest import view
from tests.unit.service.queue.records import case as content
from tests.unit.service.queue.records import record

__all__ = ["view"]

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


class LogWithRival:
    """The log of decisions, in which bob's comes a moment before the first of ours, on the same case."""

    def __init__(self, view: QueueView) -> None:
        self._view = view
        self._rivals = ["bob"]

    async def catch_up(self) -> None:
        pass

    async def write(self, decisions: Sequence[Decision], headers: object) -> None:
        rivals = [
            msgspec.structs.replace(decisions[0], decision_id=name, decision="note", reviewer=name, outcome=None)
            for name in self._rivals
        ]
        self._rivals = []
        records = [
            TopicRecord(0, at, one.key.encode(), msgspec.json.encode(one))
            for at, one in enumerate([*rivals, *decisions])
        ]
        self._view.apply([], {}, decisions=records)


@pytest.mark.parametrize("named", [True, False])
async def test_a_decision_on_a_subject_as_it_was_seen_does_not_stand_where_somebody_else_was_faster(
    view: QueueView, *, named: bool
) -> None:
    view.apply([record(content())], {})
    app = web.Application()
    app[QUEUE_VIEW], app[DECISION_LOG], app[METRICS] = view, LogWithRival(view), Metrics()
    app[SETTINGS], app[RULES] = Settings(), load()
    request = make_mocked_request("POST", "/", app=app)
    identify(request)
    [line], _ = subject_reads.page(view, parse_query({"by": "subject"}))
    target = SubjectTarget(line["subject_id"], line["version"] if named else None)
    decision = DecisionRequest(decision="clear", reviewer="ann", outcome="false_positive")
    [problem] = await _decide_subjects(request, [target], decision)
    [line], _ = subject_reads.page(view, parse_query({"by": "subject"}))
    if named:
        assert problem is not None
        assert (problem.status, problem.members["subject"]["status"], line["status"]) == (409, "open", "open")
    else:
        assert (problem, line["status"]) == (None, "cleared")

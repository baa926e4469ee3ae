"""Subjects: the sum of several cases of one account."""

from typing import Any

import msgspec
import pytest

from schemas.case import Group
from service.queue.decisions import Growth, ReviewStatus
from service.queue.subjects import CaseState, containers, distinct_payments, fold, subject_of

CASE = CaseState(1, "structuring", "open", None, None, None, None, 10, 20, 20, 3, 1_200_003, 3, 5, 0, "agree", 1)


def state(**changes: Any) -> CaseState:
    return CASE._replace(**changes)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Group(1001, "A", 1), Group(1001, "B", 2), True),
        (Group(1001, "A", 1), Group(payor_account_no=1001), True),
        (Group(1001, "A", 1), Group(1002, "A", 1), False),
        (Group(payee_bank="A", payee_account_no=1), Group(payee_account_no=1, payee_bank="A"), True),
        (Group(payee_bank="A", payee_account_no=1), Group(payee_bank="B", payee_account_no=1), False),
        (Group(payee_bank="A", payee_account_no=1), Group(payor_account_no=1), False),
    ],
)
def test_a_case_is_about_its_payor_or_else_its_payee(one: Group, other: Group, same: bool) -> None:  # noqa: FBT001
    assert (subject_of(one).subject_id == subject_of(other).subject_id) is same


def test_a_subjects_id_is_the_same_on_every_machine() -> None:
    assert subject_of(Group(1001)).subject_id == "28413e5a-7b11-5913-bc00-3796b5a2f805"


@pytest.mark.parametrize(
    ("case_statuses", "status"),
    [
        (("open", "in_review", "cleared"), "in_review"),
        (("open", "escalated"), "open"),
        (("snoozed", "escalated"), "snoozed"),
        (("cleared", "escalated"), "escalated"),
        (("cleared", "cleared"), "cleared"),
    ],
)
def test_a_subject_has_the_status_of_the_case_that_wants_most(
    case_statuses: tuple[ReviewStatus, ...], status: ReviewStatus
) -> None:
    assert fold([state(status=case_status) for case_status in case_statuses]).status == status


def test_a_subject_fired_when_the_first_case_did_that_is_not_cleared() -> None:
    cases = [state(status="cleared", fired_at=1), state(fired_at=7), state(fired_at=5)]
    assert fold(cases).fired_at == 5
    assert fold(cases[:1]).fired_at == 1


def test_rules_are_named_once_and_figures_cover_all_cases() -> None:
    folded = fold([state(), state(rule="fan_out", first_at=5, last_at=99, record=7, decisions=2, listed=1)])
    assert (folded.rules, folded.cases, folded.open_cases) == (",fan_out,structuring,", 2, 2)
    assert (folded.first_at, folded.last_at, folded.version, folded.exact) == (5, 99, 14, False)


def test_the_worst_verdict_of_the_engines_is_the_subjects() -> None:
    assert (
        fold([state(), state(agreement="only_python", changed_at=9), state(agreement="differ")]).agreement == "differ"
    )


def grown(folded: str | None) -> Growth:
    assert folded is not None
    return msgspec.json.decode(folded, type=Growth)


def test_a_subject_has_grown_where_a_case_has_grown_since_a_decision() -> None:
    growth = msgspec.json.encode(Growth("escalate", "ann", 50, 3, "12000.03")).decode()
    assert (
        grown(fold([state(status="escalated", reviewer="ann", decided_at=50, growth=growth)]).growth).reviewer == "ann"
    )


def test_a_subject_has_grown_where_another_case_fired_after_a_decision() -> None:
    closed = state(status="escalated", reviewer="ann", decided_at=50)
    assert fold([closed, state(fired_at=40)]).growth is None
    assert grown(fold([closed, state(fired_at=60)]).growth).decision == "escalate"


def test_a_case_is_contained_in_the_one_that_holds_all_of_its_payments() -> None:
    cases = {"day": {"a", "b", "c"}, "rolling": {"a", "b", "c"}, "part": {"b", "c"}, "other": {"c", "d"}}
    sizes = {"day": 24, "rolling": 72, "part": 24, "other": 24}
    assert containers(cases, sizes) == {"rolling": "day", "part": "day"}


def test_no_case_is_contained_in_one_that_is_contained() -> None:
    cases = {"a": {"1"}, "b": {"1", "2"}, "c": {"1", "2", "3"}}
    assert containers(cases, dict.fromkeys(cases, 1)) == {"a": "c", "b": "c"}


def test_a_payment_that_two_cases_list_is_one_and_what_one_of_them_knows_counts() -> None:
    listed = {
        "x": [{"id": "2", "timestamp": 9, "payment_amount": 2.0}, {"id": "1"}],
        "y": [{"id": "1", "timestamp": 3, "payment_amount": 1.0}],
    }
    assert distinct_payments(listed) == [
        {"id": "1", "timestamp": 3, "payment_amount": 1.0, "cases": ["x", "y"]},
        {"id": "2", "timestamp": 9, "payment_amount": 2.0, "cases": ["x"]},
    ]

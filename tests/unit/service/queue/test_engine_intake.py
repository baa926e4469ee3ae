"""The second engine's rows beside Python's cases, and what neither counted."""

from decimal import Decimal
from typing import Any

import pytest
from aiokafka import TopicPartition

from schemas.kafka.topics import PAYMENT_LATE
from service.queue.view import QueueView
from tests.unit.service.queue.records import FAR_AHEAD, SOURCE, Q, case, ksqldb_row, read_cases, record


@pytest.mark.parametrize(
    ("python", "changes", "agreement"),
    [
        (True, {}, "agree"),
        (True, {"payment_count": 3}, "differ"),
        (True, {"total_amount": Decimal("10000.04")}, "differ"),
        (True, {"deleted": True}, "only_python"),
        (False, {}, "only_ksqldb"),
    ],
)
def test_both_engines_rows_make_a_cases_agreement(
    view: QueueView,
    python: bool,  # noqa: FBT001
    changes: dict[str, Any],
    agreement: str,
) -> None:
    view.compared_until = FAR_AHEAD
    view.apply([record(case())] if python else [], {}, ksqldb=[ksqldb_row(case(), **changes)])
    [item] = read_cases(view)
    assert item["agreement"] == agreement
    assert read_cases(view, agreement=agreement) == [item]
    assert read_cases(view, agreement="pending") == []


def test_the_order_in_which_the_engines_come_does_not_matter(view: QueueView) -> None:
    view.compared_until = FAR_AHEAD
    view.apply([], {}, ksqldb=[ksqldb_row(case(1))])
    view.apply([record(case(1)), record(case(2))], {})
    view.apply([], {}, ksqldb=[ksqldb_row(case(2))])
    assert [item["agreement"] for item in read_cases(view)] == ["agree", "agree"]


def test_what_an_engine_may_not_have_read_yet_is_pending_but_what_is_equal_agrees_at_once(view: QueueView) -> None:
    view.compared_until = 0
    view.apply([record(case(1)), record(case(2))], {}, ksqldb=[ksqldb_row(case(2))])
    assert [item["agreement"] for item in read_cases(view, sort="total")] == ["pending", "agree"]
    assert len(read_cases(view, agreement="pending")) == 1


def test_a_case_that_only_ksqldb_found_says_what_is_known_of_it_and_goes_when_ksqldb_takes_it_back(
    view: QueueView,
) -> None:
    view.compared_until = FAR_AHEAD
    view.apply([], {}, ksqldb=[ksqldb_row(case(), timestamp=99)])
    [item] = read_cases(view)
    assert item["payments"] == [{"id": "p"}]
    assert (item["first_payment_at"], item["last_payment_at"], item["version"]) == (None, 99, 0)
    assert read_cases(view, payor="0", min_total="10000.03") == [item]
    view.apply([], {}, ksqldb=[ksqldb_row(case(), deleted=True)])
    assert read_cases(view) == []


def test_late_payments_are_counted_on_their_case_whether_it_is_there_before_them_or_after(view: QueueView) -> None:
    early, later = case(1), case(2)
    at = TopicPartition(PAYMENT_LATE, 0)
    view.apply([record(early)], {Q[0]: 1}, [early["case_id"], later["case_id"], early["case_id"]])
    view.apply([record(later)], {Q[0]: 2, at: 3})
    assert {item["case_id"]: item["late_payments"] for item in read_cases(view)} == {
        early["case_id"]: 2,
        later["case_id"]: 1,
    }
    assert view.positions(SOURCE)[at] == 3

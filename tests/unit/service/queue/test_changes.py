"""Changes of a view: each once, in order, under the name of their file."""

import sqlite3
from pathlib import Path

import pytest

from service.queue import case_reads
from service.queue.changes import last_change
from service.queue.view import QueueView
from service.review.parameters import parse_query
from tests.unit.service.queue.records import FAR_AHEAD, Q, case, record


def test_changes_are_told_once_each_and_in_order(view: QueueView) -> None:
    view.apply([record(case(0)), record(case(1))], {Q[0]: 2})
    epoch, since = last_change(view)
    assert (epoch, since) == (view.epoch, view.change)
    assert case_reads.changes(view, since, parse_query({}), 10) == ([], [])
    view.apply([record(case(1, payment_count=3), offset=5)], {Q[0]: 6})
    view.apply([record(None, key=case(0)["case_id"])], {Q[0]: 7})
    changed, removed = case_reads.changes(view, since, parse_query({"min_total": "20000.00"}), 10)
    [(number, matches, item)] = changed
    assert (item["case_id"], matches) == (case(1)["case_id"], False)
    [(removed_at, case_id)] = removed
    assert case_id == case(0)["case_id"]
    assert since < number < removed_at <= view.change


def test_cases_that_waited_for_the_other_engine_are_changes_one_by_one(view: QueueView) -> None:
    view.compared_until = 0
    view.apply([record(case(number)) for number in range(5)], {Q[0]: 5})
    since = view.change
    view.advance_comparison(FAR_AHEAD)
    numbers = []
    while lines := case_reads.changes(view, since, parse_query({}), 2).lines:
        numbers += [number for number, _, _ in lines]
        since = numbers[-1]
    assert len(set(numbers)) == 5
    view.advance_comparison(FAR_AHEAD)
    assert view.change == (before := last_change(view).number)
    view.advance_comparison(FAR_AHEAD)
    assert view.change == before, "where nothing waited, nothing changes"


def test_a_view_that_is_made_anew_counts_its_changes_under_another_name(view: QueueView) -> None:
    view.apply([record(case())], {Q[0]: 1})
    before = last_change(view)
    view.rebuild()
    after = last_change(view)
    assert after == (view.epoch, view.change)
    assert (after.number, after.epoch == before.epoch) == (0, False)


def test_what_a_transaction_that_failed_counted_is_no_change(view: QueueView, tmp_path: Path) -> None:
    view.apply([record(case())], {Q[0]: 1})
    before = view.change
    other = sqlite3.connect(tmp_path / "views" / "queue.sqlite")
    other.execute("BEGIN IMMEDIATE")
    view._writer.execute("PRAGMA busy_timeout = 1")  # ms
    with pytest.raises(sqlite3.OperationalError):
        view.apply([record(case(1))], {Q[0]: 2})
    other.rollback()
    other.close()
    assert view.change == before == last_change(view).number

"""A subject follows its cases, whether all of them have changed or only what the engines say of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.queue import subject_reads
from service.queue.subjects import worst
from service.queue.view import QueueView
from service.review.parameters import parse_query
from tests.unit.service.queue.records import FAR_AHEAD, case, ksqldb_row, record

CASES = (case(0), case(3))
"""Of one payor."""


@pytest.fixture
def view(tmp_path: Path) -> Iterator[QueueView]:
    view = QueueView(tmp_path / "queue.sqlite")
    view.compared_until = FAR_AHEAD
    view.apply([record(one) for one in CASES], {})
    yield view
    view.close()


def subject(view: QueueView) -> dict[str, Any]:
    [item], _ = subject_reads.page(view, parse_query({"by": "subject"}))
    return item


def test_a_subject_agrees_once_all_of_its_cases_do_and_nothing_else_of_it_changes(view: QueueView) -> None:
    before = subject(view)
    said = [before["agreement"]]
    for one in CASES:
        view.apply([], {}, ksqldb=[ksqldb_row(one)])
        said.append(subject(view)["agreement"])
    assert said == ["only_python", "only_python", "agree"]
    after = subject(view)
    unlike = {name for name in before if before[name] != after[name]}
    assert {"agreement"} <= unlike <= {"agreement", "updated_at"}


def test_a_case_and_an_engines_row_in_one_batch_are_both_seen(view: QueueView) -> None:
    more = case(0, payment_count=3, total_amount="15000.00")
    view.apply([record(more, offset=9)], {}, ksqldb=[ksqldb_row(more), ksqldb_row(CASES[1])])
    assert (subject(view)["payment_count"], subject(view)["agreement"]) == (3, "agree")


def test_a_subject_is_a_change_when_only_its_agreement_is(view: QueueView) -> None:
    before = view.change
    view.apply([], {}, ksqldb=[ksqldb_row(CASES[0])])
    lines = subject_reads.changes(view, before, parse_query({"by": "subject"}), 10).lines
    assert [item["subject_id"] for _, _, item in lines] == [subject(view)["subject_id"]]


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ([("agree", 5)], ("agree", 5)),
        ([("agree", 9), ("only_python", 3)], ("only_python", 3)),
        ([("only_ksqldb", 1), ("differ", 2), ("only_python", 3)], ("differ", 2)),
        ([("differ", 2), ("differ", 4)], ("differ", 4)),
    ],
)
def test_the_worst_verdict_counts_and_of_two_the_latest(verdicts: list[tuple[str, int]], said: tuple[str, int]) -> None:
    assert worst(verdicts) == said

"""The view as a whole: where it stands after a restart, and of which topics it is."""

from pathlib import Path

import pytest

from service.queue import counts
from service.queue.view import QueueView
from tests.unit.service.queue.records import SOURCE, Q, case, read_cases, record


def test_cases_and_positions_are_still_there_after_a_restart(tmp_path: Path) -> None:
    first = QueueView(tmp_path / "queue.sqlite")
    assert first.positions(SOURCE) == {}
    first.apply([record(case())], {Q[0]: 5, Q[3]: 8})
    first.close()
    second = QueueView(tmp_path / "queue.sqlite")
    assert second.positions(SOURCE) == {Q[0]: 5, Q[3]: 8}
    assert len(read_cases(second)) == 1
    second.close()


@pytest.mark.parametrize("other", [{**SOURCE, "cluster_id": "x"}, {**SOURCE, "topic_id": "x"}])
def test_a_view_of_another_topic_begins_anew(view: QueueView, other: dict[str, str]) -> None:
    view.positions(SOURCE)
    view.apply([record(case())], {Q[0]: 5})
    assert view.positions(other) == {}
    assert counts.count(view) == 0
    assert view.positions(other) == {}


def test_a_topic_that_is_new_adds_to_the_view(view: QueueView) -> None:
    view.positions(SOURCE)
    view.apply([record(case())], {Q[0]: 1})
    assert view.positions({**SOURCE, "ksqldb_structuring": "x"}) == {Q[0]: 1}
    assert view.positions({**SOURCE, "ksqldb_structuring": "y"}) == {}

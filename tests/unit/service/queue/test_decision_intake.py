"""Records of decisions and exemptions that cannot stand leave nothing behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.queue import decision_reads
from service.queue.view import QueueView
from tests.unit.service.queue.test_view import case, exemption, listed, record


@pytest.fixture
def view(tmp_path: Path) -> Iterator[QueueView]:
    view = QueueView(tmp_path / "queue.sqlite")
    yield view
    view.close()


def test_an_exemption_that_names_no_account_is_counted_and_not_kept(view: QueueView) -> None:
    assert view.apply([record(case())], {}, decisions=[exemption(1, group={})]) == 1
    assert decision_reads.exemptions(view) == []
    assert listed(view)[0]["status"] == "open"


def test_what_comes_after_it_is_taken_in(view: QueueView) -> None:
    assert view.apply([record(case())], {}, decisions=[exemption(1, group={}), exemption(2)]) == 1
    assert listed(view)[0]["status"] == "snoozed"

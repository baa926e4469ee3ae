"""A view of the queue in a file of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.queue.view import QueueView


@pytest.fixture
def view(tmp_path: Path) -> Iterator[QueueView]:
    view = QueueView(tmp_path / "views" / "queue.sqlite")
    yield view
    view.close()

"""A batch of changes on its way into the review queue's file: all of it is one transaction."""

import sqlite3
from typing import NamedTuple


class TopicRecord(NamedTuple):
    """A record of a topic; a value of None means that what it stood for is gone."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Batch:
    """State that the steps of a batch share. `change` is the number of the last change: it counts if all commits."""

    def __init__(self, file: sqlite3.Connection, now: int, change: int, *, compared: bool) -> None:
        """Begin a batch at `now` (ms since the epoch); `compared`: a second engine is there."""
        self.file = file
        self.now = now
        self.change = change
        self.compared = compared
        self.subjects: set[int] = set()
        """Row ids of subjects to be folded at the end, see `folding`."""
        self.judged: set[int] = set()
        """Row ids of subjects of whose cases nothing but the agreement has changed."""
        self.bad: list[str] = []
        """Records that made no sense: where they are, and why."""

    def next_change(self) -> int:
        """Count one change."""
        self.change += 1
        return self.change

    def not_understood(self, record: TopicRecord, error: Exception) -> None:
        """Note that a record made no sense."""
        self.bad.append(f"partition {record.partition}, offset {record.offset}: {error}")

"""Changes of the view since a moment, for whoever follows it."""

from typing import NamedTuple

from service.queue.items import JsonObject
from service.queue.view import LAST_CHANGE, QueueView


class ChangeMark(NamedTuple):
    """A change: the name of the file that it is counted in, and its number there."""

    epoch: str
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.number}"


class Changes(NamedTuple):
    """Changes since a moment: lines with the number of their change, and whether they match; and ids."""

    lines: list[tuple[int, bool, JsonObject]]
    removals: list[tuple[int, str]]


def removals(view: QueueView, since: int, limit: int, *, subjects: bool) -> list[tuple[int, str]]:
    """Return the changes after `since` with which cases, or subjects, went, and their ids."""
    sql = "SELECT change, id FROM gone WHERE change > ? AND is_subject = ? ORDER BY change LIMIT ?"
    return view.read(sql, [since, subjects, limit])


def last_change(view: QueueView) -> ChangeMark:
    """Return the last change."""
    return ChangeMark(*view.read(LAST_CHANGE)[0])

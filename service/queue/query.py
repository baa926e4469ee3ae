"""Queries of the review queue: conditions, order, and a page's place in it."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from schemas.errors import DECODE_ERRORS
from service.queue.layout import CASE_SORTS, SUBJECT_SORTS

DEFAULT_LIMIT = 50
DEFAULT_SORT = "-last_payment_at"
MAX_LIMIT = 500

QueueTable = Literal["cases", "subjects"]
SORTS = {"cases": CASE_SORTS, "subjects": SUBJECT_SORTS}
ID_COLUMNS = {"cases": "case_id", "subjects": "subject_id"}


class InvalidCursor(ValueError):
    """A text that is no cursor, or one of another queue."""


class Condition(msgspec.Struct, frozen=True):
    """A condition in SQL, and the values of its placeholders; `{agreement}` stands for what an agreement is now."""

    sql: str
    values: tuple[Any, ...] = ()


class Cursor(msgspec.Struct, array_like=True, frozen=True):
    """A place between two pages, after the last line of the first; and the moment at which reading began.

    `epoch` and `change` name that moment in the file that was read, `began` (ms since the epoch) in any other one.
    """

    sort: str
    value: int
    line_id: str
    epoch: str = ""
    change: int = 0
    began: int = 0

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).rstrip(b"=").decode()


def decode_cursor(text: str) -> Cursor:
    """Decode a cursor; raises InvalidCursor."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        cursor = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=Cursor)
    except (UnicodeEncodeError, binascii.Error, *DECODE_ERRORS):
        raise InvalidCursor("not a cursor that a page of this queue gave out") from None
    if not all(-(2**63) <= number < 2**63 for number in (cursor.value, cursor.change, cursor.began)):
        raise InvalidCursor("not a cursor that a page of this queue gave out")
    return cursor


@dataclass(frozen=True)
class QueueQuery:
    """A page of the queue, of cases or of subjects."""

    table: QueueTable = "cases"
    conditions: tuple[Condition, ...] = ()
    sort: str = DEFAULT_SORT
    limit: int = DEFAULT_LIMIT
    after: Cursor | None = None

    @property
    def column(self) -> str:
        """The column of its order."""
        return SORTS[self.table][self.sort.removeprefix("-")]

    @property
    def direction(self) -> str:
        """ASC, or DESC where the greatest comes first."""
        return "DESC" if self.sort.startswith("-") else "ASC"

    @property
    def line_id(self) -> str:
        """The column that decides among lines of equal value."""
        return ID_COLUMNS[self.table]

    def where(self, agreement: str = "agreement") -> tuple[str, list[Any]]:
        """Return all conditions but the page's place, joined, and their values; `1` where there is none.

        `agreement` is the SQL of what an agreement is now.
        """
        terms = [condition.sql.replace("{agreement}", agreement) for condition in self.conditions]
        return " AND ".join(terms) or "1", [value for condition in self.conditions for value in condition.values]

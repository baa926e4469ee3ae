"""What can be asked of the review queue: filters, order, and a page's place in it."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from schemas.payment import INT32_MAX
from service.http.problems import invalid_parameter
from service.queue.agreement import AGREEMENTS
from service.queue.decisions import STATUSES

DEFAULT_LIMIT = 50
MOST = 500
_DOLLARS = re.compile(r"[0-9]{1,16}(\.[0-9]{1,2})?")
_ID = re.compile(r"[0-9A-Fa-f-]{4,36}")

SORTS = {
    "total": "total_cents",
    "window_start": "window_start",
    "last_payment_at": "last_payment_at",
    "payment_count": "payment_count",
}
"""What a queue can be sorted by, and the column that it is."""


class Cursor(msgspec.Struct, array_like=True):
    """The last case of a page: the next one begins after it, whatever has been added before or between."""

    sort: str
    value: int
    case_id: str

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).rstrip(b"=").decode()


def cursor(text: str) -> Cursor:
    """The cursor that a text stands for; raises Problem."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=Cursor)
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError, UnicodeDecodeError):
        raise invalid_parameter("cursor", "not a cursor that a page of this queue gave out", status=400) from None


@dataclass(frozen=True)
class Query:
    """One page of the queue. `where` holds conditions: column, what must hold of it (SQL), and value or values."""

    where: list[tuple[str, str, Any]] = field(default_factory=list)
    sort: str = "-last_payment_at"
    limit: int = DEFAULT_LIMIT
    after: Cursor | None = None

    @property
    def sort_name(self) -> str:
        """The order's name in SORTS."""
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        """Whether the greatest comes first."""
        return self.sort.startswith("-")

    def conditions(self, agreement: str = "agreement") -> tuple[str, list[Any]]:
        """The WHERE clause and its values; `agreement` is the SQL of what a case's agreement is now."""
        # The + keeps SQLite from choosing an index by this column: only the accounts and the order are worth one.
        free = ("id", "payor", "payee", SORTS[self.sort_name])
        terms = {"agreement": agreement} | {column: column for column in free}
        conditions: list[str] = []
        values: list[Any] = []
        for column, holds, value in self.where:
            several = value if isinstance(value, tuple) else (value,)
            conditions.append(f"{terms.get(column, f'+{column}')} {holds.format(', '.join('?' * len(several)))}")
            values += several
        if self.after is not None:
            conditions.append(f"({SORTS[self.sort_name]}, case_id) {'<' if self.descending else '>'} (?, ?)")
            values += [self.after.value, self.after.case_id]
        return (" WHERE " + " AND ".join(conditions) if conditions else ""), values


def _text(name: str, text: str) -> str:
    if not text:
        raise invalid_parameter(name, "is empty")
    return text


def _whole(name: str, text: str, most: int) -> int:
    # int() would take "+1", "1_000", blanks and other scripts' digits as well.
    if not (text.isascii() and text.isdigit()):
        raise invalid_parameter(name, "is not a whole number")
    if len(text) > len(str(most)) or int(text) > most:
        raise invalid_parameter(name, f"is above {most}")
    return int(text)


def _account(name: str, text: str) -> int:
    return _whole(name, text, INT32_MAX)


def _time(name: str, text: str) -> int:
    return _whole(name, text, 2**53)


def _cents(name: str, text: str) -> int:
    if not _DOLLARS.fullmatch(text):
        raise invalid_parameter(name, "is not an amount such as 10000.00")
    return int(Decimal(text) * 100)


def _some_of(*known: str) -> Callable[[str, str], tuple[str, ...]]:
    """One value, or several joined by commas; `known` are those that there are, none if that is not known."""

    def read(name: str, text: str) -> tuple[str, ...]:
        values = tuple(_text(name, value) for value in text.split(","))
        if unknown := [value for value in values if known and value not in known]:
            raise invalid_parameter(name, f"{unknown[0]} is not one of {', '.join(known)}")
        return values

    return read


def _beginning(name: str, text: str) -> tuple[str, str]:
    """From and below which text lies what begins so."""
    if not _ID.fullmatch(text):
        raise invalid_parameter(name, "is not a payment's id, nor at least 4 characters of its beginning")
    return text, text + "~"


_LISTS = "IN (SELECT id FROM listed WHERE payment_id >= ? AND payment_id < ?)"

_FILTERS: dict[str, tuple[str, str, Callable[[str, str], Any]]] = {
    "status": ("status", "IN ({})", _some_of(*STATUSES)),
    "rule": ("rule", "IN ({})", _some_of()),
    "agreement": ("agreement", "IN ({})", _some_of(*AGREEMENTS)),
    "payor": ("payor", "= ?", _account),
    "payee": ("payee", "= ?", _account),
    "payee_bank": ("payee_bank", "= ?", _text),
    "reviewer": ("reviewer", "= ?", _text),
    "payment_id": ("id", _LISTS, _beginning),
    "min_total": ("total_cents", ">= ?", _cents),
    "max_total": ("total_cents", "<= ?", _cents),
    "window_start_from": ("window_start", ">= ?", _time),
    "window_start_to": ("window_start", "< ?", _time),
    "last_payment_from": ("last_payment_at", ">= ?", _time),
    "last_payment_to": ("last_payment_at", "< ?", _time),
}
"""Each filter's column, what must hold of it, and how its value is read."""

PARAMETERS = (*_FILTERS, "sort", "limit", "cursor")


def parse_query(parameters: Mapping[str, str]) -> Query:
    """A query from an address's parameters; raises Problem that names the parameter at fault."""
    if unknown := [name for name in parameters if name not in PARAMETERS]:
        raise invalid_parameter(unknown[0], f"is unknown; there are {', '.join(PARAMETERS)}", status=400)
    where = [
        (column, operator, read(name, parameters[name]))
        for name, (column, operator, read) in _FILTERS.items()
        if name in parameters
    ]
    sort = parameters.get("sort", "-last_payment_at")
    if sort.removeprefix("-") not in SORTS:
        raise invalid_parameter("sort", f"is not one of {', '.join(SORTS)}, each also with - before it")
    limit = _whole("limit", parameters.get("limit", str(DEFAULT_LIMIT)), MOST)
    if limit == 0:
        raise invalid_parameter("limit", "is 0")
    return Query(where, sort, limit, _after(parameters.get("cursor"), sort))


def _after(text: str | None, sort: str) -> Cursor | None:
    if text is None:
        return None
    after = cursor(text)
    if after.sort != sort:
        raise invalid_parameter("cursor", f"belongs to a queue sorted by {after.sort}, not by {sort}", status=400)
    if not -(2**63) <= after.value < 2**63:
        raise invalid_parameter("cursor", "not a cursor that a page of this queue gave out", status=400)
    return after

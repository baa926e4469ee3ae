"""Query parameters of the review queue's addresses: filters, order, page. Each bad one is a Problem that names it."""

import re
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from aiohttp import web

from fraud.bank_names import fold_bank
from fraud.rules import DAY_MS
from schemas.payment import INT32_MAX
from service.http.problems import invalid_parameter
from service.queue.agreement import AGREEMENTS
from service.queue.decisions import STATUSES
from service.queue.query import (
    DEFAULT_LIMIT,
    DEFAULT_SORT,
    MAX_LIMIT,
    SORTS,
    Condition,
    Cursor,
    InvalidCursor,
    QueueQuery,
    QueueTable,
    decode_cursor,
)
from service.settings import SETTINGS

PAGING = ("sort", "limit", "cursor")
"""Parameters that are about a page, not about which lines there are."""
MAX_VALUES = 500
"""Values of a filter, joined by commas; SQLite takes conditions of up to 1,000 terms."""
TABLES: dict[str, QueueTable] = {"case": "cases", "subject": "subjects"}

_DOLLARS = re.compile(r"[0-9]{1,16}(\.[0-9]{1,2})?")
_ID = re.compile(r"[0-9A-Fa-f-]{4,36}")

Read = Callable[[str, str], tuple[Any, ...]]
"""From a parameter's name and text to the values that its condition takes; raises Problem."""


def _text(name: str, text: str) -> tuple[str]:
    if not text:
        raise invalid_parameter(name, "is empty")
    return (text,)


def _whole(name: str, text: str, greatest: int) -> int:
    # int() would take "+1", "1_000", blanks and other scripts' digits as well.
    if not (text.isascii() and text.isdigit()):
        raise invalid_parameter(name, "is not a whole number")
    if len(text) > len(str(greatest)) or int(text) > greatest:
        raise invalid_parameter(name, f"is above {greatest}")
    return int(text)


def _account(name: str, text: str) -> tuple[int]:
    return (_whole(name, text, INT32_MAX),)


def _bank(name: str, text: str) -> tuple[str, str]:
    """The name as it stands, and as it stands in groups of rules with `fold_banks`."""
    return (*_text(name, text), fold_bank(text))


def _time(name: str, text: str) -> tuple[int]:
    return (_whole(name, text, 2**53),)


def _cents(name: str, text: str) -> tuple[int]:
    if not _DOLLARS.fullmatch(text):
        raise invalid_parameter(name, "is not an amount such as 10000.00")
    return (int(Decimal(text) * 100),)


def _some_of(*choices: str) -> Read:
    """Take one value, or several joined by commas; any where there are no `choices`."""

    def read(name: str, text: str) -> tuple[str, ...]:
        values = tuple(value for part in text.split(",") for value in _text(name, part))
        if len(values) > MAX_VALUES:
            raise invalid_parameter(name, f"is more than {MAX_VALUES} values")
        if choices and (unknown := [value for value in values if value not in choices]):
            raise invalid_parameter(name, f"{unknown[0]} is not one of {', '.join(choices)}")
        return values

    return read


def _rules(name: str, text: str) -> tuple[str, ...]:
    """The names as a subject has them, between commas."""
    return tuple(f",{rule}," for rule in _some_of()(name, text))


def _prefix(name: str, text: str) -> tuple[str, str]:
    """Bounds of the texts that begin so: from the first, below the second."""
    if not _ID.fullmatch(text):
        raise invalid_parameter(name, "is not a payment's id, nor at least 4 characters of its beginning")
    return text, text + "~"


def _true(name: str, text: str) -> tuple[()]:
    if text != "true":
        raise invalid_parameter(name, "is not true; leave it out for all")
    return ()


class Filter(NamedTuple):
    """A filter: its condition in SQL, where `{}` stands for a term for each value, joined; and its reader."""

    sql: str
    read: Read
    term: str = "?"
    joined: str = ", "

    def condition(self, values: tuple[Any, ...]) -> Condition:
        """Return the condition for these values."""
        return Condition(self.sql.replace("{}", self.joined.join([self.term] * len(values))), values)


# The + keeps SQLite from choosing an index by this column: only the accounts and the order are worth one.
_COMMON = {
    "status": Filter("+status IN ({})", _some_of(*STATUSES)),
    "agreement": Filter("{agreement} IN ({})", _some_of(*AGREEMENTS)),
    "reviewer": Filter("+reviewer = ?", _text),
    "min_total": Filter("+total_cents >= ?", _cents),
    "max_total": Filter("+total_cents <= ?", _cents),
    "last_payment_from": Filter("+last_payment_at >= ?", _time),
    "last_payment_to": Filter("+last_payment_at < ?", _time),
    "grown": Filter("growth > ''", _true),
    "overdue": Filter("+fired_at < ? AND +status IN ('open', 'in_review')", _true),
}
_ACCOUNTS = {
    "payor": Filter("payor = ?", _account),
    "payee": Filter("payee = ?", _account),
    "payee_bank": Filter("payee_bank IN (?, ?)", _bank),
}
_WINDOWS = {
    "window_start_from": Filter("+window_start >= ?", _time),
    "window_start_to": Filter("+window_start < ?", _time),
}
FILTERS: dict[QueueTable, dict[str, Filter]] = {
    "cases": {
        **_COMMON,
        **_ACCOUNTS,
        **_WINDOWS,
        "rule": Filter("+rule IN ({})", _some_of()),
        "payment_id": Filter(
            "id IN (SELECT c.id FROM cases c JOIN bodies b USING (id), json_each(b.payments) p WHERE c.subject IN "
            "(SELECT subject FROM listed WHERE payment_id >= ? AND payment_id < ?) "
            "AND (p.value ->> 'id') COLLATE NOCASE >= ? AND (p.value ->> 'id') COLLATE NOCASE < ?)",
            lambda name, text: _prefix(name, text) * 2,
        ),
    },
    "subjects": {
        **_COMMON,
        "rule": Filter("({})", _rules, "instr(rules, ?)", " OR "),
        "payment_id": Filter("id IN (SELECT subject FROM listed WHERE payment_id >= ? AND payment_id < ?)", _prefix),
        "subject_id": Filter("subject_id IN ({})", _some_of()),
    },
}
BY_CASE = {**_ACCOUNTS, **_WINDOWS}
"""Filters of cases that a subject matches where one of its cases does: the same one for all of them."""

PARAMETERS: dict[QueueTable, tuple[str, ...]] = {
    "cases": ("by", *FILTERS["cases"], *PAGING),
    "subjects": ("by", *FILTERS["subjects"], *BY_CASE, *PAGING),
}


def query_of(request: web.Request, *without: str) -> QueueQuery:
    """Read a request's query; `without` are parameters that make no sense for it. Raises Problem."""
    if repeated := [name for name in request.query if len(request.query.getall(name)) > 1]:
        raise invalid_parameter(repeated[0], "is given more than once", status=400)
    due_days = request.app[SETTINGS].service.report_due_days
    return parse_query(request.query, without, due_ms=due_days * DAY_MS)


def parse_query(
    parameters: Mapping[str, str], without: tuple[str, ...] = (), *, due_ms: int = 30 * DAY_MS
) -> QueueQuery:
    """Parse parameters; raises Problem. `due_ms`: from the time at which a case fired to that at which it is due."""
    by = parameters.get("by", "case")
    if by not in TABLES:
        raise invalid_parameter("by", f"is not one of {', '.join(TABLES)}")
    table = TABLES[by]
    allowed = [name for name in PARAMETERS[table] if name not in without]
    if unknown := [name for name in parameters if name not in allowed]:
        raise invalid_parameter(unknown[0], f"is unknown; there are {', '.join(allowed)}", status=400)
    sort = parameters.get("sort", DEFAULT_SORT)
    if sort.removeprefix("-") not in SORTS[table]:
        raise invalid_parameter("sort", f"is not one of {', '.join(SORTS[table])}, each also with - before it")
    limit = _whole("limit", parameters.get("limit", str(DEFAULT_LIMIT)), MAX_LIMIT)
    if limit == 0:
        raise invalid_parameter("limit", "is 0")
    conditions = _conditions(table, parameters, int(time.time() * 1000) - due_ms)
    return QueueQuery(table, conditions, sort, limit, _after(parameters.get("cursor"), sort))


def _conditions(table: QueueTable, parameters: Mapping[str, str], fired_before: int) -> tuple[Condition, ...]:
    """The conditions of the filters that are there; `fired_before`: what fired earlier is overdue."""
    conditions = []
    for name, kind in FILTERS[table].items():
        if name in parameters:
            values = kind.read(name, parameters[name]) or (fired_before,) * kind.sql.count("?")
            conditions.append(kind.condition(values))
    if table == "subjects" and (names := [name for name in BY_CASE if name in parameters]):
        values = tuple(value for name in names for value in BY_CASE[name].read(name, parameters[name]))
        together = " AND ".join(BY_CASE[name].sql for name in names)
        conditions.append(Condition(f"id IN (SELECT subject FROM cases WHERE {together})", values))
    return tuple(conditions)


def _after(text: str | None, sort: str) -> Cursor | None:
    if text is None:
        return None
    try:
        after = decode_cursor(text)
    except InvalidCursor as error:
        raise invalid_parameter("cursor", str(error), status=400) from None
    if after.sort != sort:
        raise invalid_parameter("cursor", f"belongs to a queue sorted by {after.sort}, not by {sort}", status=400)
    return after

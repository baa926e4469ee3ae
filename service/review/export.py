"""The filtered queue as a table for spreadsheets: GET /review-queue.csv."""

import csv
import dataclasses
import io
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from service.queue import reads
from service.queue.query import MOST
from service.queue.reads import Item
from service.review.cases import query_of, read_view, with_reason
from service.settings import RULES

COLUMNS = (
    *("case_id", "status", "agreement", "rule", "reason", "payor_account_no", "payee_bank", "payee_account_no"),
    *("payment_count", "total_amount", "max_amount", "window_start", "window_end", "first_payment_at"),
    *("last_payment_at", "late_payments", "reviewer", "outcome", "decided_at", "snoozed_until", "version"),
)
TIMES = frozenset(name for name in COLUMNS if name.endswith(("_at", "_start", "_end", "_until")))
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""


async def export_cases(request: web.Request) -> web.StreamResponse:
    """All pages of it, one after the other; times as ISO 8601, UTC."""
    query = dataclasses.replace(query_of(request, "limit", "cursor"), limit=MOST)
    rules = request.app[RULES]
    # The first page before the first byte: what goes wrong with it can still be said.
    items, after = await read_view(request.app, reads.page, query)
    response = web.StreamResponse()
    response.content_type, response.charset = "text/csv", "utf-8"
    response.headers["Content-Disposition"] = 'attachment; filename="review-queue.csv"'
    await response.prepare(request)
    await response.write(_lines([COLUMNS]))
    while True:
        await response.write(_lines([_row(with_reason(item, rules)) for item in items]))
        if after is None:
            break
        query = dataclasses.replace(query, after=after)
        items, after = await read_view(request.app, reads.page, query)
    await response.write_eof()
    return response


def _row(item: Item) -> list[Any]:
    case = msgspec.json.decode(msgspec.json.encode(item))
    values = case | case["group"]
    return [_cell(name, values.get(name)) for name in COLUMNS]


def _cell(name: str, value: Any) -> Any:
    if name in TIMES and value is not None:
        return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value


def _lines(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()

"""Handlers of tables for spreadsheets: the filtered queue, and the payments of a subject."""

import dataclasses
from typing import Any

from aiohttp import web

from service.queue.items import JsonObject
from service.queue.query import MAX_LIMIT
from service.review.cases import read_page, read_subject
from service.review.parameters import query_of
from service.review.spreadsheet import BYTE_ORDER_MARK, csv_lines, time_cell
from service.review.viewing import record_viewing

CASE_COLUMNS = (
    *("case_id", "status", "agreement", "rule", "reason", "payor_account_no", "payee_bank", "payee_account_no"),
    *("payment_count", "total_amount", "max_amount", "window_start", "window_end", "first_payment_at"),
    *("last_payment_at", "fired_at", "due_at", "late_payments", "reviewer", "outcome", "decided_at", "snoozed_until"),
    *("subject_id", "version"),
)
SUBJECT_COLUMNS = (
    *("subject_id", "status", "agreement", "rules", "reason", "payor_account_no", "payee_bank", "payee_account_no"),
    *("payment_count", "total_amount", "case_count", "open_cases", "first_payment_at", "last_payment_at", "fired_at"),
    *("due_at", "reviewer", "decided_at", "snoozed_until", "version"),
)
PAYMENT_COLUMNS = (
    *("timestamp", "id", "payment_amount", "payment_method", "payor_account_no", "payee_bank", "payee_account_no"),
    *("rules", "topic", "partition", "offset"),
)
TIMES = frozenset(
    {
        "timestamp",
        *(name for name in (*CASE_COLUMNS, *SUBJECT_COLUMNS) if name.endswith(("_at", "_start", "_end", "_until"))),
    }
)


async def export_queue(request: web.Request) -> web.StreamResponse:
    """Answer GET /review-queue.csv: all pages of it, one after the other."""
    query = dataclasses.replace(query_of(request, "limit", "cursor"), limit=MAX_LIMIT)
    columns = SUBJECT_COLUMNS if query.table == "subjects" else CASE_COLUMNS
    # The first page before the first byte: what goes wrong with it can still be said.
    items, after = await read_page(request.app, query)
    record_viewing(request, "queue", filter=dict(request.query))
    response = await _begin(request, "review-queue.csv", columns)
    while True:
        await response.write(csv_lines(_row(columns, item) for item in items))
        if after is None:
            break
        query = dataclasses.replace(query, after=after)
        items, after = await read_page(request.app, query)
    await response.write_eof()
    return response


async def export_payments(request: web.Request) -> web.StreamResponse:
    """Answer GET /review-queue/subjects/{subject_id}/payments.csv."""
    subject = await read_subject(request.app, request.match_info["subject_id"])
    record_viewing(request, "payments", subject_id=subject["subject_id"])
    response = await _begin(request, "payments.csv", PAYMENT_COLUMNS)
    await response.write(csv_lines(_row(PAYMENT_COLUMNS, payment) for payment in subject["payments"]))
    await response.write_eof()
    return response


async def _begin(request: web.Request, name: str, columns: tuple[str, ...]) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type, response.charset = "text/csv", "utf-8"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    await response.prepare(request)
    await response.write(BYTE_ORDER_MARK + csv_lines([columns]))
    return response


def _row(columns: tuple[str, ...], item: JsonObject) -> list[Any]:
    values = item | item.get("group", {}) | item.get("subject", {})
    return [_value(name, values.get(name)) for name in columns]


def _value(name: str, value: Any) -> Any:
    if name in TIMES:
        return time_cell(value)
    return " ".join(value) if isinstance(value, list) else value

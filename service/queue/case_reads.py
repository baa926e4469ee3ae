"""Reads of cases from the view of the review queue. Each function takes the view first, and blocks."""

from collections.abc import Sequence

import msgspec

from service.queue.agreement import KsqldbRow, engines_of
from service.queue.changes import Changes, removals
from service.queue.database import IN_JSON, as_json
from service.queue.decision_reads import history, snooze
from service.queue.items import (
    FROM_CASES,
    JsonObject,
    case_columns,
    case_item,
    decode_payments,
    row_of_item,
    window_key_of,
)
from service.queue.paging import page_rows
from service.queue.query import Cursor, QueueQuery
from service.queue.view import QueueView

MAX_RELATED = 50

_decode_ksqldb = msgspec.msgpack.Decoder(KsqldbRow).decode


def page(view: QueueView, query: QueueQuery) -> tuple[list[JsonObject], Cursor | None]:
    """Return the cases that a query asks for, and where the next page begins if there is one."""
    rows = page_rows(view, query)
    columns = f"{case_columns(view)}, b.payments, c.id"
    sql = f"SELECT {columns} {FROM_CASES} JOIN bodies b ON b.id = c.id WHERE c.id IN {IN_JSON}"
    items = {row[-1]: case_item(row, payments=row[-2]) for row in view.read(sql, [as_json(rows.row_ids)])}
    return [items[row_id] for row_id in rows.row_ids if row_id in items], rows.cursor


def cases(view: QueueView, case_ids: Sequence[str]) -> dict[str, JsonObject]:
    """Return those of these cases that there are, by id, without their payments."""
    sql = f"SELECT {case_columns(view)} {FROM_CASES} WHERE c.case_id IN {IN_JSON}"
    items = [case_item(row) for row in view.read(sql, [as_json(case_ids)])]
    return {item["case_id"]: item for item in items}


def cases_of(view: QueueView, subject: int) -> list[JsonObject]:
    """Return a subject's cases with their payments, the earliest to fire first; `subject` is its row id."""
    sql = (
        f"SELECT {case_columns(view)}, b.payments {FROM_CASES} JOIN bodies b ON b.id = c.id WHERE c.subject = ? "
        "ORDER BY c.fired_at, c.case_id"
    )
    return [case_item(row, payments=row[-1]) for row in view.read(sql, [subject])]


def payments(view: QueueView, case_id: str) -> list[JsonObject]:
    """Return the payments that a case lists; none where there is no such case."""
    rows = view.read("SELECT payments FROM bodies JOIN cases USING (id) WHERE case_id = ?", [case_id])
    return decode_payments(rows[0][0]) if rows else []


def case_detail(view: QueueView, case_id: str) -> JsonObject | None:
    """Return a case with its payments, history, both engines' figures, snooze, and related cases; None without one."""
    sql = (
        f"SELECT {case_columns(view)}, b.payments, k.body, c.record {FROM_CASES} JOIN bodies b ON b.id = c.id "
        "LEFT JOIN ksqldb k ON k.case_id = c.case_id WHERE c.case_id = ?"
    )
    rows = view.read(sql, [case_id])
    if not rows:
        return None
    *_, listed, body, record = row = rows[0]
    item = case_item(row, payments=listed)
    ksqldb = _decode_ksqldb(body) if body else None
    python = row_of_item(item, listed) if record else None
    engines = engines_of(window_key_of(item), ksqldb and ksqldb.row, python)
    more = {"history": history(view, [case_id]), "engines": engines, "snooze": snooze(view, case_id)}
    return {**item, **more, "related": related(view, case_id)}


def related(view: QueueView, case_id: str) -> list[JsonObject]:
    """Return other cases of the same payor or the same payee, the latest first, without their payments."""
    sql = f"""
        WITH this AS (SELECT payor, payee, payee_bank FROM cases WHERE case_id = :id),
        near AS (
            SELECT id FROM cases WHERE payor = (SELECT payor FROM this)
            UNION
            SELECT id FROM cases
            WHERE payee = (SELECT payee FROM this) AND payee_bank = (SELECT payee_bank FROM this)
        )
        SELECT {case_columns(view)} {FROM_CASES} WHERE c.id IN near AND c.case_id <> :id
        ORDER BY c.last_payment_at DESC, c.case_id LIMIT {MAX_RELATED}
    """
    return [case_item(row) for row in view.read(sql, {"id": case_id})]


def changes(view: QueueView, since: int, query: QueueQuery, limit: int) -> Changes:
    """Return the cases that changed after the change `since`, in its order, without their payments."""
    where, values = query.where(view.agreement_now())
    sql = (
        f"SELECT {case_columns(view)}, c.change, c.id IN (SELECT id FROM cases WHERE id = c.id AND {where}) "
        f"{FROM_CASES} WHERE c.id IN (SELECT id FROM cases WHERE change > ? ORDER BY change LIMIT ?) ORDER BY c.change"
    )
    rows = view.read(sql, [*values, since, limit])
    return Changes(
        [(row[-2], bool(row[-1]), case_item(row)) for row in rows], removals(view, since, limit, subjects=False)
    )

"""Pages of the queue: every line that was there when reading began comes once, wherever it has moved since.

A line that has moved since then is met where it stood: `past_cases` and `past_subjects` say where.
"""

import time
from typing import NamedTuple

from service.queue.query import Cursor, QueueQuery
from service.queue.view import LAST_CHANGE, QueueView


class PageRows(NamedTuple):
    """The row ids of a page's lines in their order, and where the next page begins if there is one."""

    row_ids: list[int]
    cursor: Cursor | None


def page_rows(view: QueueView, query: QueueQuery) -> PageRows:
    """Return a page's rows."""
    where, values = query.where(view.agreement_now())
    order = f"ORDER BY 2 {query.direction}, 3 {query.direction} LIMIT {query.limit + 1:d}"
    after = query.after
    with view.snapshot() as file:
        if after is None:
            epoch, change = file.execute(LAST_CHANGE).fetchone()
            began = int(time.time() * 1000)
            sql = f"SELECT id, {query.column}, {query.line_id} FROM {query.table} WHERE {where} {order}"
            rows = file.execute(sql, values).fetchall()
        else:
            epoch, change, began = after.epoch, after.change, after.began
            since, moment = ("change > ?", change) if epoch == view.epoch else ("at > ?", began)
            place = (after.value, after.line_id)
            sql = f"{_stayed(query, where, since)} {order}) UNION ALL {_moved(query, where, since)} {order}"
            rows = file.execute(sql, [*values, *place, moment, moment, after.value, *place, *values]).fetchall()
    last = rows[query.limit - 1] if len(rows) > query.limit else None
    cursor = Cursor(query.sort, last[1], last[2], epoch, change, began) if last else None
    return PageRows([row[0] for row in rows[: query.limit]], cursor)


def _stayed(query: QueueQuery, where: str, since: str) -> str:
    """Lines after a place that stand where they stood when reading began."""
    column = query.column
    return (
        f"SELECT * FROM (SELECT id, {column}, {query.line_id} FROM {query.table} WHERE {where} "
        f"AND ({column}, {query.line_id}) {_beyond(query)} (?, ?) AND {column} = ifnull((SELECT {column} FROM "
        f"past_{query.table} p WHERE p.id = {query.table}.id AND {since} ORDER BY change LIMIT 1), {column})"
    )


def _moved(query: QueueQuery, where: str, since: str) -> str:
    """Lines that stood after a place when reading began, and stand somewhere else now."""
    column, beyond = query.column, _beyond(query)
    # Of the bare columns beside min(), SQLite takes those of that row: the line as it was before it moved.
    past = f"(SELECT id, {column} AS old, min(change) FROM past_{query.table} WHERE {since} GROUP BY id)"
    return (
        f"SELECT t.id, old, {query.line_id} FROM {past} p CROSS JOIN {query.table} t USING (id) "
        f"WHERE old {beyond}= ? AND (old, {query.line_id}) {beyond} (?, ?) AND old <> t.{column} "
        f"AND t.id IN (SELECT id FROM {query.table} WHERE id = t.id AND {where})"
    )


def _beyond(query: QueueQuery) -> str:
    return "<" if query.direction == "DESC" else ">"

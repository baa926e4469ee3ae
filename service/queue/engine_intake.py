"""Intake of what the second engine has found, and of what windows did not count, into the review queue's file."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from fraud.comparison.compare import Uncounted
from service.queue.agreement import KsqldbRow, fingerprint, verdict
from service.queue.batch import Batch
from service.queue.case_intake import delete_cases, store_engine_cases
from service.queue.database import IN_JSON, as_json


def apply_ksqldb(batch: Batch, rows: Sequence[KsqldbRow]) -> None:
    """Take in rows of the second engine: the last one of each window."""
    last = {row.case_id: row for row in rows}
    prints = {name: None if row.row is None else fingerprint(row.row) for name, row in last.items()}
    batch.file.executemany(
        "INSERT OR REPLACE INTO ksqldb VALUES (?, ?, ?)",
        [(name, prints[name], msgspec.msgpack.encode(row)) for name, row in last.items() if row.row is not None],
    )
    batch.file.executemany(
        "DELETE FROM ksqldb WHERE case_id = ?", [(name,) for name, row in last.items() if row.row is None]
    )
    if batch.compared:
        _judge(batch, prints)


def apply_uncounted(batch: Batch, reason: Uncounted, case_ids: Iterable[str]) -> None:
    """Count payments that the windows of these cases did not count, one for each id."""
    batch.file.executemany(
        f"INSERT INTO {reason} VALUES (?, 1) ON CONFLICT DO UPDATE SET payments = payments + 1",
        [(case_id,) for case_id in case_ids],
    )


def judged_between(batch: Batch, since: int, until: int) -> None:
    """Count as changes the cases whose disagreement can be said now: those that changed in this time."""
    for table in ("cases", "subjects"):
        sql = f"SELECT id FROM {table} WHERE agreement <> 'agree' AND changed_at >= ? AND changed_at < ?"
        rows = batch.file.execute(sql, [since, until]).fetchall()
        batch.file.executemany(
            f"UPDATE {table} SET change = ?, updated_at = ? WHERE id = ?",
            [(batch.next_change(), batch.now, row_id) for (row_id,) in rows],
        )


def _judge(batch: Batch, prints: Mapping[str, int | None]) -> None:
    """Set what the engines' rows of these windows say together; a case that neither has any more goes."""
    sql = f"SELECT case_id, id, fingerprint, record, subject FROM cases WHERE case_id IN {IN_JSON}"
    rows = {row[0]: row[1:] for row in batch.file.execute(sql, [as_json(prints)])}
    own = {name: row for name, row in rows.items() if row[2]}
    verdicts = []
    for name, (row_id, python, _, subject) in own.items():
        verdicts.append((verdict(prints[name], python), batch.now, batch.now, batch.next_change(), row_id))
        batch.judged.add(subject)
    batch.file.executemany(
        "UPDATE cases SET agreement = ?, changed_at = ?, updated_at = ?, change = ? WHERE id = ?", verdicts
    )
    delete_cases(
        batch,
        [name for name, ksqldb_print in prints.items() if ksqldb_print is None and name in rows and name not in own],
    )
    store_engine_cases(
        batch, [name for name, ksqldb_print in prints.items() if ksqldb_print is not None and name not in own]
    )

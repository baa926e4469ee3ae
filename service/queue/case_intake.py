"""Intake of cases into the review queue's file.

What a case is in between two records of a batch nobody sees: the last one of each key is taken in. Everything is asked
and written for all cases of a batch together, and at its end each subject that one of them belongs to is folded anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from fraud.comparison.rows import row_of
from schemas.case import Case, CaseError, ListedPayment, decode_case
from schemas.payment import cents_of
from service.queue.agreement import KsqldbRow, case_of, fingerprint, verdict
from service.queue.batch import Batch, TopicRecord
from service.queue.database import IN_JSON, as_json
from service.queue.decision_intake import review, reviewed
from service.queue.subjects import Subject, subject_of

NOT_A_CASE = (CaseError, ValueError)

_decode_ksqldb = msgspec.msgpack.Decoder(KsqldbRow).decode
_encode = msgspec.json.Encoder().encode

_IDENTITY = ("case_id", "subject", "rule", "payor", "payee", "payee_bank", "window_start", "window_end")
"""Columns that never change: an UPDATE that leaves them out leaves their indexes alone."""
_FIGURES = (
    *("total_cents", "payment_count", "listed", "max_amount", "first_payment_at", "last_payment_at", "fired_at"),
    *("fired_known", "record", "fingerprint", "agreement", "changed_at", "updated_at", "change", "id"),
)
_PLACES = ", ".join("?" * len(_IDENTITY + _FIGURES))
_INSERT_CASE = f"INSERT INTO cases ({', '.join(_IDENTITY + _FIGURES)}) VALUES ({_PLACES})"
_UPDATE_CASE = f"UPDATE cases SET {', '.join(f'{name} = ?' for name in _FIGURES[:-1])} WHERE id = ?"
_INSERT_LISTED = "INSERT INTO listed VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET cents = coalesce(excluded.cents, cents)"


class StoredCase(NamedTuple):
    """The row that the file has of a case already."""

    row_id: int
    subject: int
    record: int
    listed: int


def apply_cases(batch: Batch, records: Sequence[TopicRecord]) -> None:
    """Take in records of `review_queue`."""
    cases: dict[str, tuple[Case, int]] = {}
    deleted: set[str] = set()
    keys: set[bytes] = set()
    for record in reversed(records):
        try:
            if record.key is None:
                raise ValueError("the record has no key")
            if record.key in keys:
                continue
            if record.value is None:
                deleted.add(record.key.decode())
            else:
                case = decode_case(record.value)
                # A case has one partition: its offset there grows with each change, and is the same everywhere.
                cases.setdefault(case.case_id, (case, record.offset + 1))
            keys.add(record.key)
        except NOT_A_CASE as error:
            batch.not_understood(record, error)
    _store(batch, cases)
    _delete_python(batch, deleted - cases.keys())


def store_engine_cases(batch: Batch, case_ids: Iterable[str]) -> None:
    """Store the cases of windows that only the second engine has found; a record of 0 stands for that."""
    _store(batch, {name: (case_of(row), 0) for name, row in _ksqldb_rows(batch, case_ids).items()})


def delete_cases(batch: Batch, case_ids: Sequence[str]) -> None:
    """Delete cases that no engine has found any more."""
    stored = _stored(batch, case_ids)
    for case_id, case in stored.items():
        batch.file.execute("DELETE FROM bodies WHERE id = ?", [case.row_id])
        batch.file.execute("DELETE FROM cases WHERE id = ?", [case.row_id])
        batch.file.execute("INSERT OR REPLACE INTO gone VALUES (?, 0, ?)", [case_id, batch.next_change()])
    for subject in {case.subject for case in stored.values()}:
        _list_anew(batch, subject)
        batch.subjects.add(subject)


def _delete_python(batch: Batch, case_ids: Iterable[str]) -> None:
    """Take away what Python had found; what the second engine has of it stays."""
    names = list(case_ids)
    rows = _ksqldb_rows(batch, names) if batch.compared else {}
    delete_cases(batch, [name for name in names if name not in rows])
    store_engine_cases(batch, rows)


def _store(batch: Batch, cases: Mapping[str, tuple[Case, int]]) -> None:
    """Insert or update cases, each with its record's offset + 1."""
    if not cases:
        return
    stored = _stored(batch, cases)
    subjects = _subject_rows(batch, {case_id: subject_of(case.group) for case_id, (case, _) in cases.items()})
    prints = _fingerprints(batch, cases) if batch.compared else {}
    next_id = _next_id(batch, "cases")
    inserted, updated, bodies = [], [], []
    listed: dict[tuple[int, str], int | None] = {}
    for case_id, (case, record) in cases.items():
        before = stored.get(case_id)
        row_id = before.row_id if before else next_id
        next_id += before is None
        subject = subjects[case_id]
        figures = _figures(batch, case, record, prints.get(case_id), row_id)
        if before:
            updated.append(figures)
        else:
            inserted.append((*_identity(case, subject), *figures))
        bodies.append((row_id, _encode(case.payments)))
        for payment in _unlisted(case, before):
            # The several cases of a subject list the same payments; one that knows no amounts takes none away.
            if listed.get((subject, payment.id)) is None:
                listed[subject, payment.id] = _cents(payment.payment_amount)
    # In the order of their rows, neighbours are on one page.
    updated.sort(key=itemgetter(-1))
    bodies.sort(key=itemgetter(0))
    batch.subjects.update(subjects.values())
    batch.file.executemany(_INSERT_CASE, inserted)
    batch.file.executemany(_UPDATE_CASE, updated)
    batch.file.executemany("INSERT OR REPLACE INTO bodies VALUES (?, ?)", bodies)
    batch.file.executemany(_INSERT_LISTED, [(*key, cents) for key, cents in listed.items()])
    batch.file.executemany("DELETE FROM gone WHERE id = ?", [(case_id,) for case_id in cases])
    review(batch, reviewed(batch, {case_id: case for case_id, (case, _) in cases.items()}))


def _unlisted(case: Case, before: StoredCase | None) -> Sequence[ListedPayment]:
    """The payments that the file may not have of it: a list only grows at its end."""
    if before and before.record and before.listed <= len(case.payments):
        return case.payments[before.listed :]
    return case.payments


def _identity(case: Case, subject: int) -> tuple[Any, ...]:
    """Values of _IDENTITY."""
    group = case.group
    account = (group.payor_account_no, group.payee_account_no, group.payee_bank)
    return (case.case_id, subject, case.rule, *account, case.window_start, case.window_end)


def _figures(batch: Batch, case: Case, record: int, ksqldb_print: int | None, row_id: int) -> tuple[Any, ...]:
    """Values of _FIGURES."""
    fired_at = case.fired_at or case.first_payment_at or case.last_payment_at
    own = fingerprint(row_of(case)) if record else None
    return (
        *(cents_of(case.total_amount), case.payment_count, len(case.payments), case.max_amount),
        *(case.first_payment_at, case.last_payment_at, fired_at, case.fired_at is not None),
        *(record, own, verdict(ksqldb_print, own) if batch.compared else "only_python"),
        *(batch.now, batch.now, batch.next_change(), row_id),
    )


def _list_anew(batch: Batch, subject: int) -> None:
    """Have the payments of a subject that its cases list, after some of them are gone."""
    batch.file.execute("DELETE FROM listed WHERE subject = ?", [subject])
    batch.file.execute(
        "INSERT OR IGNORE INTO listed "
        "SELECT c.subject, p.value ->> 'id', CAST(round((p.value ->> 'payment_amount') * 100) AS INTEGER) "
        "FROM cases c JOIN bodies b USING (id), json_each(b.payments) p WHERE c.subject = ?",
        [subject],
    )


def _stored(batch: Batch, case_ids: Iterable[str]) -> dict[str, StoredCase]:
    sql = f"SELECT case_id, id, subject, record, listed FROM cases WHERE case_id IN {IN_JSON}"
    return {case_id: StoredCase(*columns) for case_id, *columns in batch.file.execute(sql, [as_json(case_ids)])}


def _subject_rows(batch: Batch, subjects: Mapping[str, Subject]) -> dict[str, int]:
    """Row ids of the subjects of cases; those that are new are made."""
    subjects_by_id = {subject.subject_id: subject for subject in subjects.values()}
    sql = f"SELECT subject_id, id FROM subjects WHERE subject_id IN {IN_JSON}"
    rows: dict[str, int] = dict(batch.file.execute(sql, [as_json(subjects_by_id)]).fetchall())
    new = [subject for name, subject in subjects_by_id.items() if name not in rows]
    first = _next_id(batch, "subjects")
    rows |= {subject.subject_id: first + number for number, subject in enumerate(new)}
    batch.file.executemany(
        "INSERT INTO subjects (id, subject_id, payor, payee, payee_bank) VALUES (?, ?, ?, ?, ?)",
        [(rows[subject.subject_id], *subject) for subject in new],
    )
    batch.file.executemany("DELETE FROM gone WHERE id = ?", [(subject.subject_id,) for subject in new])
    return {case_id: rows[subject.subject_id] for case_id, subject in subjects.items()}


def _next_id(batch: Batch, table: str) -> int:
    [(last,)] = batch.file.execute(f"SELECT coalesce(max(id), 0) FROM {table}")
    return int(last) + 1


def _fingerprints(batch: Batch, case_ids: Iterable[str]) -> dict[str, int]:
    sql = f"SELECT case_id, fingerprint FROM ksqldb WHERE case_id IN {IN_JSON}"
    return dict(batch.file.execute(sql, [as_json(case_ids)]).fetchall())


def _ksqldb_rows(batch: Batch, case_ids: Iterable[str]) -> dict[str, KsqldbRow]:
    sql = f"SELECT case_id, body FROM ksqldb WHERE case_id IN {IN_JSON}"
    return {name: _decode_ksqldb(body) for name, body in batch.file.execute(sql, [as_json(case_ids)])}


def _cents(amount: float | None) -> int | None:
    return None if amount is None else round(amount * 100)

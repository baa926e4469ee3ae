"""Intake of a batch of records into the review queue's file, within one transaction.

What a case is in between two records of a batch nobody sees: the last one of each key is taken in. Everything is asked
and written for all cases of a batch together, and at its end each subject that one of them belongs to is folded anew.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from aiokafka import TopicPartition

from fraud.comparison.compare import Uncounted
from fraud.comparison.rows import row_of
from schemas.case import Case, CaseError, Group, decode_case
from schemas.payment import dollars
from service.queue.agreement import KsqldbRow, case_of, fingerprint, verdict
from service.queue.decisions import CaseFigures, Decision, review_of, silence_key
from service.queue.exemptions import Exemption, Exemptions
from service.queue.layout import MAX_PAST
from service.queue.subjects import LEAST, CaseState, Subject, fold, subject_of

_decode_decision = msgspec.json.Decoder(Decision).decode
_decode_exemption = msgspec.json.Decoder(Exemption).decode
_IS_EXEMPTION = b'"exemption_id"'
"""Mark of an exemption among the records of `review_decisions`: notes may hold it, but escaped."""
_decode_ksqldb = msgspec.msgpack.Decoder(KsqldbRow).decode
_encode = msgspec.json.Encoder().encode
_NOT_UNDERSTOOD = (CaseError, msgspec.MsgspecError, ValueError, RecursionError)

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
_REVIEW = """
UPDATE cases SET status = ?, reviewer = ?, outcome = ?, decided_at = ?, decisions = ?, reopened = ?, growth = ?,
                 proposal = ?, snoozed_until = ?, updated_at = ?, change = ?
WHERE id = ?
"""
_STATES = """
SELECT subject, rule, status, reviewer, decided_at, snoozed_until, growth, first_payment_at, last_payment_at, fired_at,
       payment_count, total_cents, listed, record, decisions, agreement, changed_at
FROM cases WHERE subject IN (SELECT value FROM json_each(?)) ORDER BY subject
"""
_DISTINCT = """
SELECT subject, count(*), coalesce(sum(cents), 0), count(cents) = count(*) FROM listed
WHERE subject IN (SELECT value FROM json_each(?)) GROUP BY subject
"""
_SNOOZE = """
INSERT INTO snoozes VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET since = excluded.since, decision_id = excluded.decision_id, until = excluded.until,
    max_cents = excluded.max_cents, max_payments = excluded.max_payments, body = excluded.body
WHERE (excluded.since, excluded.decision_id) > (since, decision_id)
"""
_EXEMPT = """
INSERT INTO exemptions VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    time = excluded.time, until = excluded.until, live = excluded.live AND live, body = excluded.body
WHERE excluded.time >= time
"""
_FOLD = """
UPDATE subjects SET
    payment_count = ?, total_cents = ?, exact = ?, status = ?, reviewer = ?, decided_at = ?, snoozed_until = ?,
    growth = ?, rules = ?, cases = ?, open_cases = ?, first_payment_at = ?, last_payment_at = ?, fired_at = ?,
    version = ?, agreement = ?, changed_at = ?, updated_at = ?, change = ?
WHERE id = ?
"""
_IN_JSON = "(SELECT value FROM json_each(?))"
MAX_FOLDED = 2_000
"""Subjects whose cases are in memory at once."""


class TopicRecord(NamedTuple):
    """A record of a topic; a value of None means that what it stood for is gone."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Snooze(NamedTuple):
    """A snooze's end (ms since the epoch), and the figures above which it does not silence."""

    until: int
    max_cents: int
    max_payments: int


class StoredCase(NamedTuple):
    """The row that the file has of a case already."""

    row_id: int
    subject: int
    record: int
    listed: int


class Intake:
    """A batch on its way into the file. `change` is the number of the last change: it counts if the batch commits."""

    def __init__(self, file: sqlite3.Connection, now: int, change: int, *, compared: bool) -> None:
        """Begin a batch at `now` (ms since the epoch); `compared`: a second engine is there."""
        self.change = change
        self.bad: list[str] = []
        """Records that made no sense: where they are, and why."""
        self._file = file
        self._now = now
        self._compared = compared
        self._subjects: set[int] = set()
        """Row ids of subjects to be folded."""

    def next_change(self) -> int:
        """Count one change."""
        self.change += 1
        return self.change

    def apply_cases(self, records: Sequence[TopicRecord]) -> None:
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
            except _NOT_UNDERSTOOD as error:
                self._not_understood(record, error)
        self._store(cases)
        self._delete_python(deleted - cases.keys())

    def apply_decisions(self, records: Iterable[TopicRecord]) -> None:
        """Take in records of `review_decisions`, in their order."""
        reviewed: set[str] = set()
        for record in records:
            try:
                if record.value is None:
                    raise ValueError("a decision cannot be taken away")
                if _IS_EXEMPTION in record.value:
                    reviewed |= self._exempt(_decode_exemption(record.value))
                    continue
                decision = _decode_decision(record.value)
            except _NOT_UNDERSTOOD as error:
                self._not_understood(record, error)
                continue
            if self._put_decision(decision):
                reviewed.add(decision.case_id)
                if decision.until is not None:
                    reviewed |= self._snooze(decision)
        self.review(reviewed)

    def apply_ksqldb(self, rows: Sequence[KsqldbRow]) -> None:
        """Take in rows of the second engine: the last one of each window."""
        last = {row.case_id: row for row in rows}
        prints = {name: None if row.row is None else fingerprint(row.row) for name, row in last.items()}
        self._file.executemany(
            "INSERT OR REPLACE INTO ksqldb VALUES (?, ?, ?)",
            [(name, prints[name], msgspec.msgpack.encode(row)) for name, row in last.items() if row.row is not None],
        )
        self._file.executemany(
            "DELETE FROM ksqldb WHERE case_id = ?", [(name,) for name, row in last.items() if row.row is None]
        )
        if self._compared:
            self._judge(prints)

    def apply_uncounted(self, reason: Uncounted, case_ids: Iterable[str]) -> None:
        """Count payments that the windows of these cases did not count, one for each id."""
        self._file.executemany(
            f"INSERT INTO {reason} VALUES (?, 1) ON CONFLICT DO UPDATE SET payments = payments + 1",
            [(case_id,) for case_id in case_ids],
        )

    def put_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Remember the next offset to read of each partition."""
        rows = [(partition.topic, partition.partition, offset) for partition, offset in positions.items()]
        self._file.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", rows)

    def judged_between(self, since: int, until: int) -> None:
        """Count as changes the cases whose disagreement can be said now: those that changed in this time."""
        for table in ("cases", "subjects"):
            sql = f"SELECT id FROM {table} WHERE agreement <> 'agree' AND changed_at >= ? AND changed_at < ?"
            rows = self._file.execute(sql, [since, until]).fetchall()
            self._file.executemany(
                f"UPDATE {table} SET change = ?, updated_at = ? WHERE id = ?",
                [(self.next_change(), self._now, row_id) for (row_id,) in rows],
            )

    def wake(self) -> int:
        """Open the cases whose snooze is over; returns how many."""
        rows = self._file.execute("SELECT case_id FROM cases WHERE snoozed_until <= ?", [self._now]).fetchall()
        self.review(case_id for (case_id,) in rows)
        return len(rows)

    def forget_past(self) -> None:
        """Delete where cases and subjects stood before changes that are long ago."""
        for table in ("cases", "subjects"):
            self._file.execute(f"DELETE FROM past_{table} WHERE change < ?", [self.change - MAX_PAST])

    def fold_subjects(self) -> None:
        """Bring the subjects of all that was changed up to date; the last step of a batch."""
        remaining = iter(sorted(self._subjects))
        while chunk := list(islice(remaining, MAX_FOLDED)):
            self._fold(chunk)
        self._subjects.clear()

    def review(self, case_ids: Iterable[str]) -> None:
        """Set where the review of these cases stands, as far as they are there."""
        sql = (
            "SELECT case_id, id, subject, payment_count, total_cents, rule, payor, payee_bank, payee FROM cases "
            "WHERE case_id IN (SELECT value FROM json_each(?))"
        )
        rows = self._file.execute(sql, [_json(case_ids)]).fetchall()
        decisions = self._decisions(row[0] for row in rows)
        silences = {case_id: silence_key(rule, Group(*columns)) for case_id, _, _, _, _, rule, *columns in rows}
        snoozes, exemptions = self._snoozes(silences.values()), self._exemptions()
        updates = []
        for case_id, row_id, subject, count, cents, rule, *account in rows:
            snooze = snoozes.get(silences[case_id])
            until = exemptions.silenced_until(rule, Group(*account), cents)
            if snooze is not None and cents <= snooze.max_cents and count <= snooze.max_payments:
                until = max(snooze.until, until or 0)
            figures = CaseFigures(count, dollars(cents))
            review = review_of(decisions.get(case_id, ()), figures, silenced=until is not None)
            columns = (review.status, review.reviewer, review.outcome, review.decided_at, review.number)
            texts = (_text(review.reopened), _text(review.growth), _text(review.proposal))
            updates.append((*columns, *texts, until, self._now, self.next_change(), row_id))
            self._subjects.add(subject)
        self._file.executemany(_REVIEW, updates)

    def _store(self, cases: Mapping[str, tuple[Case, int]]) -> None:
        """Insert or update cases; a record of 0 stands for one that only the second engine has found."""
        if not cases:
            return
        stored = self._stored(cases)
        subjects = self._subject_rows({case_id: subject_of(case.group) for case_id, (case, _) in cases.items()})
        prints = self._fingerprints(cases) if self._compared else {}
        next_id = self._next_id("cases")
        inserted, updated, bodies, listed = [], [], [], []
        for case_id, (case, record) in cases.items():
            before = stored.get(case_id)
            row_id = before.row_id if before else next_id
            next_id += before is None
            subject = subjects[case_id]
            self._subjects.add(subject)
            figures = self._figures(case, record, prints.get(case_id), row_id)
            if before:
                updated.append(figures)
            else:
                inserted.append((*_identity(case, subject), *figures))
            bodies.append((row_id, _encode(case.payments)))
            # A list only grows at its end, so what the file has of it need not be put again.
            listed_before = before.listed if before and before.record and before.listed <= len(case.payments) else 0
            listed += [
                (subject, payment.id, _cents(payment.payment_amount)) for payment in case.payments[listed_before:]
            ]
        self._file.executemany(_INSERT_CASE, inserted)
        self._file.executemany(_UPDATE_CASE, updated)
        self._file.executemany("INSERT OR REPLACE INTO bodies VALUES (?, ?)", bodies)
        self._file.executemany(_INSERT_LISTED, listed)
        self._file.executemany("DELETE FROM gone WHERE id = ?", [(case_id,) for case_id in cases])
        self.review(self._reviewed({case_id: case for case_id, (case, _) in cases.items()}))

    def _figures(self, case: Case, record: int, ksqldb_print: int | None, row_id: int) -> tuple[Any, ...]:
        """Values of _FIGURES."""
        fired_at = case.fired_at or case.first_payment_at or case.last_payment_at
        own = fingerprint(row_of(case)) if record else None
        return (
            *(_whole_cents(case.total_amount), case.payment_count, len(case.payments), case.max_amount),
            *(case.first_payment_at, case.last_payment_at, fired_at, case.fired_at is not None),
            *(record, own, verdict(ksqldb_print, own) if self._compared else "only_python"),
            *(self._now, self._now, self.next_change(), row_id),
        )

    def _delete_python(self, case_ids: Iterable[str]) -> None:
        """Take away what Python had found; what the second engine has of it stays."""
        names = list(case_ids)
        rows = self._ksqldb_rows(names) if self._compared else {}
        self._delete([name for name in names if name not in rows])
        self._store({name: (case_of(row), 0) for name, row in rows.items()})

    def _judge(self, prints: Mapping[str, int | None]) -> None:
        """Set what the engines' rows of these windows say together; a case that neither has any more goes."""
        sql = (
            "SELECT case_id, fingerprint, record, subject FROM cases WHERE case_id IN (SELECT value FROM json_each(?))"
        )
        rows = {row[0]: row[1:] for row in self._file.execute(sql, [_json(prints)])}
        own = {name: row for name, row in rows.items() if row[1]}
        verdicts = []
        for name, (python, _, subject) in own.items():
            verdicts.append((verdict(prints[name], python), self._now, self._now, self.next_change(), name))
            self._subjects.add(subject)
        self._file.executemany(
            "UPDATE cases SET agreement = ?, changed_at = ?, updated_at = ?, change = ? WHERE case_id = ?", verdicts
        )
        self._delete(
            [name for name, ksqldb_print in prints.items() if ksqldb_print is None and name in rows and name not in own]
        )
        alone = [name for name, ksqldb_print in prints.items() if ksqldb_print is not None and name not in own]
        self._store({name: (case_of(row), 0) for name, row in self._ksqldb_rows(alone).items()})

    def _delete(self, case_ids: Sequence[str]) -> None:
        stored = self._stored(case_ids)
        for case_id, case in stored.items():
            self._file.execute("DELETE FROM bodies WHERE id = ?", [case.row_id])
            self._file.execute("DELETE FROM cases WHERE id = ?", [case.row_id])
            self._file.execute("INSERT OR REPLACE INTO gone VALUES (?, 0, ?)", [case_id, self.next_change()])
        for subject in {case.subject for case in stored.values()}:
            self._list_anew(subject)
            self._subjects.add(subject)

    def _list_anew(self, subject: int) -> None:
        """Have the payments of a subject that its cases list, after some of them are gone."""
        self._file.execute("DELETE FROM listed WHERE subject = ?", [subject])
        self._file.execute(
            "INSERT OR IGNORE INTO listed "
            "SELECT c.subject, p.value ->> 'id', CAST(round((p.value ->> 'payment_amount') * 100) AS INTEGER) "
            "FROM cases c JOIN bodies b USING (id), json_each(b.payments) p WHERE c.subject = ?",
            [subject],
        )

    def _stored(self, case_ids: Iterable[str]) -> dict[str, StoredCase]:
        sql = f"SELECT case_id, id, subject, record, listed FROM cases WHERE case_id IN {_IN_JSON}"
        rows = self._file.execute(sql, [_json(case_ids)])
        return {case_id: StoredCase(*columns) for case_id, *columns in rows}

    def _subject_rows(self, subjects: Mapping[str, Subject]) -> dict[str, int]:
        """Row ids of the subjects of cases; those that are new are made."""
        subjects_by_id = {subject.subject_id: subject for subject in subjects.values()}
        sql = f"SELECT subject_id, id FROM subjects WHERE subject_id IN {_IN_JSON}"
        rows: dict[str, int] = dict(self._file.execute(sql, [_json(subjects_by_id)]).fetchall())
        new = [subject for name, subject in subjects_by_id.items() if name not in rows]
        first = self._next_id("subjects")
        rows |= {subject.subject_id: first + number for number, subject in enumerate(new)}
        self._file.executemany(
            "INSERT INTO subjects (id, subject_id, payor, payee, payee_bank) VALUES (?, ?, ?, ?, ?)",
            [(rows[subject.subject_id], *subject) for subject in new],
        )
        self._file.executemany("DELETE FROM gone WHERE id = ?", [(subject.subject_id,) for subject in new])
        return {case_id: rows[subject.subject_id] for case_id, subject in subjects.items()}

    def _next_id(self, table: str) -> int:
        [(last,)] = self._file.execute(f"SELECT coalesce(max(id), 0) FROM {table}")
        return int(last) + 1

    def _fingerprints(self, case_ids: Iterable[str]) -> dict[str, int]:
        sql = f"SELECT case_id, fingerprint FROM ksqldb WHERE case_id IN {_IN_JSON}"
        return dict(self._file.execute(sql, [_json(case_ids)]).fetchall())

    def _ksqldb_rows(self, case_ids: Iterable[str]) -> dict[str, KsqldbRow]:
        sql = f"SELECT case_id, body FROM ksqldb WHERE case_id IN {_IN_JSON}"
        return {name: _decode_ksqldb(body) for name, body in self._file.execute(sql, [_json(case_ids)])}

    def _put_decision(self, decision: Decision) -> bool:
        """Put a decision down; returns whether it takes effect."""
        sql = "SELECT count(*) FROM decisions WHERE case_id = ? AND took_effect"
        [(effective,)] = self._file.execute(sql, [decision.case_id])
        took_effect = decision.number == effective + 1
        row = (decision.case_id, decision.number, decision.decision_id, took_effect, _encode(decision))
        self._file.execute("INSERT OR IGNORE INTO decisions VALUES (?, ?, ?, ?, ?)", row)
        return bool(took_effect)

    def _snooze(self, decision: Decision) -> set[str]:
        """Silence a rule for a group; returns the ids of its cases.

        Decisions on a group's several cases have no common order on the topic: the latest one by its time counts.
        """
        group = msgspec.convert(decision.group, Group)
        subject_id = subject_of(group).subject_id
        values = (decision.time, decision.decision_id, decision.until, *decision.ceiling, _encode(decision))
        self._file.execute(_SNOOZE, [silence_key(decision.rule, group), *values])
        sql = (
            "SELECT case_id FROM cases WHERE subject = (SELECT id FROM subjects WHERE subject_id = ?) AND rule = ? "
            "AND payor IS ? AND payee_bank IS ? AND payee IS ?"
        )
        columns = (group.payor_account_no, group.payee_bank, group.payee_account_no)
        return {case_id for (case_id,) in self._file.execute(sql, [subject_id, decision.rule, *columns])}

    def _exempt(self, exemption: Exemption) -> set[str]:
        """Put an exemption down, or its end; returns the ids of the cases that it is about. The latest one counts."""
        row = (exemption.exemption_id, exemption.time, exemption.until, not exemption.ended, _encode(exemption))
        self._file.execute(_EXEMPT, row)
        group = exemption.group
        account = {"payor": group.payor_account_no, "payee_bank": group.payee_bank, "payee": group.payee_account_no}
        columns = {column: value for column, value in account.items() if value is not None}
        if not columns:
            raise ValueError("the exemption names no account")
        where = " AND ".join(f"{column} = ?" for column in columns)
        rows = self._file.execute(f"SELECT case_id FROM cases WHERE {where}", [*columns.values()])
        return {case_id for (case_id,) in rows}

    def _exemptions(self) -> Exemptions:
        """The exemptions that hold now."""
        rows = self._file.execute("SELECT body FROM exemptions WHERE live AND until > ?", [self._now])
        return Exemptions(_decode_exemption(body) for (body,) in rows)

    def _decisions(self, case_ids: Iterable[str]) -> dict[str, list[Decision]]:
        """The decisions on cases that took effect, in order of their numbers."""
        sql = (
            "SELECT case_id, body FROM decisions WHERE case_id IN (SELECT value FROM json_each(?)) AND took_effect "
            "ORDER BY case_id, number"
        )
        decisions: defaultdict[str, list[Decision]] = defaultdict(list)
        for case_id, body in self._file.execute(sql, [_json(case_ids)]):
            decisions[case_id].append(_decode_decision(body))
        return decisions

    def _snoozes(self, silences: Iterable[str]) -> dict[str, Snooze]:
        """The snoozes that are not over, by what they silence."""
        sql = (
            "SELECT silence, until, max_cents, max_payments FROM snoozes "
            "WHERE silence IN (SELECT value FROM json_each(?)) AND until > ?"
        )
        rows = self._file.execute(sql, [_json(silences), self._now])
        return {silence: Snooze(*columns) for silence, *columns in rows}

    def _reviewed(self, cases: Mapping[str, Case]) -> set[str]:
        """Ids of those cases that somebody has decided on, or whose group somebody has silenced."""
        sql = f"SELECT DISTINCT case_id FROM decisions WHERE case_id IN {_IN_JSON}"
        decided = {case_id for (case_id,) in self._file.execute(sql, [_json(cases)])}
        [(silencing,)] = self._file.execute("SELECT (SELECT count(*) FROM snoozes) + (SELECT count(*) FROM exemptions)")
        if not silencing:
            return decided
        exemptions = self._exemptions()
        decided |= {name for name, case in cases.items() if exemptions.silenced_until(case.rule, case.group, 0)}
        silences = {case_id: silence_key(case.rule, case.group) for case_id, case in cases.items()}
        silenced = self._snoozes(silences.values())
        return decided | {case_id for case_id, silence in silences.items() if silence in silenced}

    def _fold(self, subjects: Sequence[int]) -> None:
        """Fold these subjects anew; those that have no case any more go."""
        ids = _json(subjects)
        distinct = {row[0]: row[1:] for row in self._file.execute(_DISTINCT, [ids])}
        states: defaultdict[int, list[CaseState]] = defaultdict(list)
        for case in map(CaseState._make, self._file.execute(_STATES, [ids])):
            states[case.subject].append(case)
        rows = []
        for subject, cases in states.items():
            state = fold(cases)
            count, cents, priced = distinct.get(subject, (0, 0, True))
            figures = (max(count, state.least_count), max(cents, state.least_cents), bool(priced and state.exact))
            rows.append((*figures, *state[: -len(LEAST)], self._now, self.next_change(), subject))
        self._file.executemany(_FOLD, rows)
        for subject in set(subjects) - states.keys():
            [(subject_id,)] = self._file.execute("SELECT subject_id FROM subjects WHERE id = ?", [subject])
            self._file.execute("DELETE FROM subjects WHERE id = ?", [subject])
            self._file.execute("INSERT OR REPLACE INTO gone VALUES (?, 1, ?)", [subject_id, self.next_change()])

    def _not_understood(self, record: TopicRecord, error: Exception) -> None:
        self.bad.append(f"partition {record.partition}, offset {record.offset}: {error}")


def _json(values: Iterable[str | int]) -> str:
    """Values for `json_each`: a statement with any number of them is one statement."""
    return _encode(list(values)).decode()


def _identity(case: Case, subject: int) -> tuple[Any, ...]:
    """Values of _IDENTITY."""
    group = case.group
    account = (group.payor_account_no, group.payee_account_no, group.payee_bank)
    return (case.case_id, subject, case.rule, *account, case.window_start, case.window_end)


def _cents(amount: float | None) -> int | None:
    return None if amount is None else round(amount * 100)


def _whole_cents(text: str) -> int:
    """The cents of dollars with two decimals."""
    return int(text.replace(".", ""))


def _text(value: msgspec.Struct | None) -> str | None:
    return None if value is None else _encode(value).decode()

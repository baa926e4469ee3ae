"""The review queue as a process has it: what the topics say of each case, taken in, one transaction a batch.

What is read of it stands in `queue_pages`, what it is stored in in `view_file`.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
from aiohttp import web
from aiokafka import TopicPartition

from schemas import wire_format
from schemas.case import Case, CaseError, decode_case, encode_case
from service.queue.agreement import KsqldbRow, Verdict, case_of, verdict
from service.queue.database import ViewFile
from service.queue.decisions import Decision, Figures, review_of, subject

log = structlog.get_logger(__name__)

_Apply = Callable[[sqlite3.Connection, "Taken"], None]

_UPSERT = """
INSERT INTO cases (case_id, rule, subject, payor, payee, payee_bank, total_cents, payment_count, window_start,
                   window_end, last_payment_at, record, agreement, changed_at, updated_at, change)
VALUES (:case_id, :rule, :subject, :payor, :payee, :payee_bank, :total_cents, :payment_count, :window_start,
        :window_end, :last_payment_at, :record, :agreement, :now, :now, :change)
ON CONFLICT (case_id) DO UPDATE SET
    rule = excluded.rule, subject = excluded.subject, payor = excluded.payor, payee = excluded.payee,
    payee_bank = excluded.payee_bank, total_cents = excluded.total_cents, payment_count = excluded.payment_count,
    window_start = excluded.window_start, window_end = excluded.window_end,
    last_payment_at = excluded.last_payment_at, record = excluded.record, agreement = excluded.agreement,
    changed_at = excluded.changed_at, updated_at = excluded.updated_at, change = excluded.change
RETURNING id
"""

LAST_CHANGE = """
SELECT value, max((SELECT coalesce(max(change), 0) FROM cases), (SELECT coalesce(max(change), 0) FROM gone))
FROM meta WHERE name = 'epoch'
"""

_REVIEW = """
UPDATE cases SET status = ?, reviewer = ?, outcome = ?, decided_at = ?, decisions = ?, reopened = ?, snoozed_until = ?,
                 updated_at = ?, change = ?
WHERE case_id = ?
"""


class Taken(NamedTuple):
    """A record of a topic; a value of None means that what it stood for is gone."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


_decode_ksqldb = msgspec.msgpack.Decoder(KsqldbRow).decode
_decode_decision = msgspec.json.Decoder(Decision).decode
_encode = msgspec.json.Encoder().encode


class QueueView(ViewFile):
    """One process's copy of the review queue, written by the one who reads the topics."""

    def __init__(self, file: Path) -> None:
        """Open the file, or make it."""
        super().__init__(file)
        self.compared_until: int | None = None
        """Both engines had read everything that was posted before (ms since the epoch); None: there is one engine."""
        self._now = 0
        self._forget_changes()

    def rebuild(self) -> None:
        """Throw the file away and begin with an empty one."""
        super().rebuild()
        self._forget_changes()

    def positions(self, source: Mapping[str, str]) -> dict[TopicPartition, int]:
        """The next offset to read of each partition that has been read.

        `source` says which topics they are (names and ids). If the view was made from others, it begins anew.
        """
        with self.write() as file:
            stored = dict(file.execute("SELECT name, value FROM source"))
            rows = file.execute("SELECT topic, partition, next_offset FROM positions").fetchall()
        found = {TopicPartition(topic, number): offset for topic, number, offset in rows}
        # A topic that is new (ksqlDB makes its own when it is deployed) adds to the view, any other change replaces it.
        if not stored.items() <= source.items():
            log.warning(
                "the review queue's view is made anew", reason="another cluster or topic", was=stored, now=source
            )
            self.rebuild()
            found = {}
        with self.write() as file:
            file.executemany("INSERT OR REPLACE INTO source VALUES (?, ?)", source.items())
        return found

    def apply(
        self,
        records: Sequence[Taken],
        positions: Mapping[TopicPartition, int],
        late: Sequence[str] = (),
        ksqldb: Sequence[KsqldbRow] = (),
        decisions: Sequence[Taken] = (),
    ) -> int:
        """Take in records and remember the positions after them, all or nothing; returns how many made no sense.

        `late` are case ids, one for each payment that came too late for that case's window.
        """
        with self.write() as file:
            self._begin()
            bad = [*_apply_each(self._apply_case, file, records), *_apply_each(self._apply_decision, file, decisions)]
            self._put_ksqldb(file, ksqldb)
            if self.compared_until is not None:
                # By id: what a case is in between two records of a batch, nobody sees.
                gone = {record.key.decode(errors="replace") for record in records if record.key and not record.value}
                for case_id in gone | {found.case_id for found in ksqldb}:
                    self._judge(file, case_id)
            file.executemany(
                "INSERT INTO late VALUES (?, 1) ON CONFLICT DO UPDATE SET payments = payments + 1",
                [(case_id,) for case_id in late],
            )
            file.executemany(
                "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", [(*at, offset) for at, offset in positions.items()]
            )
        if bad:
            log.warning("not understood", count=len(bad), first=bad[0])
        return len(bad)

    def compared(self, until: int) -> None:
        """Both engines have read everything that was posted before: what waited for that is a change now."""
        with self.write() as file:
            self._begin()
            sql = "SELECT id FROM cases WHERE agreement <> 'agree' AND changed_at >= ? AND changed_at < ?"
            waited = file.execute(sql, [self.compared_until or 0, until]).fetchall()
            changes = [(self._next(), self._now, row_id) for (row_id,) in waited]
            file.executemany("UPDATE cases SET change = ?, updated_at = ? WHERE id = ?", changes)
        self.compared_until = until

    def wake(self, now: int | None = None) -> int:
        """End the snoozes whose time is over (ms since the epoch); returns how many cases are open again."""
        with self.write() as file:
            self._begin(now)
            over = file.execute("SELECT case_id FROM cases WHERE snoozed_until <= ?", [self._now]).fetchall()
            for (case_id,) in over:
                self._review(file, case_id)
        return len(over)

    def _begin(self, now: int | None = None) -> None:
        """Know the time."""
        self._now = int(time.time() * 1000) if now is None else now

    def _forget_changes(self) -> None:
        epoch, number = self.read(LAST_CHANGE)[0]
        self.epoch, self.change = str(epoch), int(number)
        """The name of the file, and in it the number of the last change, counted over all cases."""

    def _next(self) -> int:
        self.change += 1
        return self.change

    def _apply_case(self, file: sqlite3.Connection, record: Taken) -> None:
        if record.key is None:
            raise ValueError("the record has no key")
        if record.value is None:
            self._delete(file, record.key.decode())
            return
        # A case has one partition, so its offset there grows with each change and is the same in every process.
        body = wire_format.without_header(record.value)
        self._store(file, decode_case(body), body, record.offset + 1)

    def _apply_decision(self, file: sqlite3.Connection, record: Taken) -> None:
        if record.value is None:
            raise ValueError("a decision cannot be taken away")
        decision = _decode_decision(record.value)
        body = _encode(decision)
        sql = "SELECT count(*) FROM decisions WHERE case_id = ? AND took_effect"
        [(so_far,)] = file.execute(sql, [decision.case_id])
        took_effect = decision.number == so_far + 1
        row = (decision.case_id, decision.number, decision.decision_id, took_effect, body)
        file.execute("INSERT OR IGNORE INTO decisions VALUES (?, ?, ?, ?, ?)", row)
        if not took_effect:
            return
        if decision.until is not None:
            self._snooze(file, decision, body)
        self._review(file, decision.case_id)

    def _snooze(self, file: sqlite3.Connection, decision: Decision, body: bytes) -> None:
        """Decisions on a group's several cases have no common order on the topic: the latest one by its time counts."""
        silenced = subject(decision.rule, decision.group)
        file.execute(
            "INSERT INTO snoozes VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "since = excluded.since, decision_id = excluded.decision_id, until = excluded.until, body = excluded.body "
            "WHERE (excluded.since, excluded.decision_id) > (since, decision_id)",
            [silenced, decision.time, decision.decision_id, decision.until, body],
        )
        for (case_id,) in file.execute("SELECT case_id FROM cases WHERE subject = ?", [silenced]).fetchall():
            self._review(file, case_id)

    def _review(self, file: sqlite3.Connection, case_id: str) -> None:
        """Set where the review of a case stands."""
        rows = file.execute("SELECT subject, body FROM cases JOIN bodies USING (id) WHERE case_id = ?", [case_id])
        found = rows.fetchone()
        if found is None:
            return  # decisions may be read before the case they are about
        rows = file.execute("SELECT body FROM decisions WHERE case_id = ? AND took_effect ORDER BY number", [case_id])
        decisions = [_decode_decision(body) for (body,) in rows]
        sql = "SELECT until FROM snoozes WHERE subject = ? AND until > ?"
        until = file.execute(sql, [found[0], self._now]).fetchone()
        case = decode_case(found[1])
        figures = Figures(case.payment_count, case.total_amount)
        review = review_of(decisions, figures, snoozed=until is not None)
        reopened = _encode(review.reopened).decode() if review.reopened else None
        columns = (review.status, review.reviewer, review.outcome, review.decided_at, review.number, reopened)
        file.execute(_REVIEW, [*columns, until and until[0], self._now, self._next(), case_id])

    def _put_ksqldb(self, file: sqlite3.Connection, rows: Sequence[KsqldbRow]) -> None:
        for found in rows:
            if found.row is None:
                file.execute("DELETE FROM ksqldb WHERE case_id = ?", (found.case_id,))
            else:
                body = msgspec.msgpack.encode(found)
                file.execute("INSERT OR REPLACE INTO ksqldb VALUES (?, ?)", (found.case_id, body))

    def _judge(self, file: sqlite3.Connection, case_id: str) -> None:
        """Set what the engines' rows of a case say together; a case that neither has any more goes."""
        ours = file.execute(
            "SELECT body FROM cases JOIN bodies USING (id) WHERE case_id = ? AND record > 0", (case_id,)
        ).fetchone()
        theirs = file.execute("SELECT body FROM ksqldb WHERE case_id = ?", (case_id,)).fetchone()
        if ours is None and theirs is None:
            self._delete(file, case_id)
            return
        if ours is None:
            case = case_of(_decode_ksqldb(theirs[0]))
            self._store(file, case, encode_case(case), record=0)
            return
        said = verdict(_decode_ksqldb(theirs[0]).row if theirs else None, ours[0])
        sql = "UPDATE cases SET agreement = ?, changed_at = ?, updated_at = ?, change = ? WHERE case_id = ?"
        file.execute(sql, (said, self._now, self._now, self._next(), case_id))

    def _verdict(self, file: sqlite3.Connection, case_id: str, body: bytes) -> Verdict:
        """What Python's case and ksqlDB's row of it say together."""
        if self.compared_until is None:
            return "only_python"
        theirs = file.execute("SELECT body FROM ksqldb WHERE case_id = ?", (case_id,)).fetchone()
        return verdict(_decode_ksqldb(theirs[0]).row if theirs else None, body)

    def _store(self, file: sqlite3.Connection, case: Case, body: bytes, record: int) -> None:
        dollars, _, cents = case.total_amount.partition(".")
        row = {
            "case_id": case.case_id,
            "rule": case.rule,
            "subject": subject(case.rule, case.group),
            "payor": case.group.payor_account_no,
            "payee": case.group.payee_account_no,
            "payee_bank": case.group.payee_bank,
            "total_cents": int(dollars + cents),
            "payment_count": case.payment_count,
            "window_start": case.window_start,
            "window_end": case.window_end,
            "last_payment_at": case.last_payment_at,
            "record": record,
            "agreement": self._verdict(file, case.case_id, body) if record else "only_ksqldb",
            "now": self._now,
            "change": self._next(),
        }
        [(row_id,)] = file.execute(_UPSERT, row).fetchall()
        file.execute("INSERT OR REPLACE INTO bodies VALUES (?, ?)", (row_id, body))
        file.executemany("INSERT OR IGNORE INTO listed VALUES (?, ?)", [(each.id, row_id) for each in case.payments])
        file.execute("DELETE FROM gone WHERE case_id = ?", [case.case_id])
        sql = "SELECT 1 FROM decisions WHERE case_id = ? UNION SELECT 1 FROM snoozes WHERE subject = ?"
        if file.execute(sql, [case.case_id, row["subject"]]).fetchone():
            self._review(file, case.case_id)

    def _delete(self, file: sqlite3.Connection, case_id: str) -> None:
        found = file.execute("SELECT id, body FROM cases JOIN bodies USING (id) WHERE case_id = ?", [case_id])
        for row_id, body in found.fetchall():
            listed = [(each.id, row_id) for each in decode_case(body).payments]
            file.executemany("DELETE FROM listed WHERE payment_id = ? AND id = ?", listed)
            file.execute("DELETE FROM bodies WHERE id = ?", [row_id])
            file.execute("DELETE FROM cases WHERE id = ?", [row_id])
            file.execute("INSERT OR REPLACE INTO gone VALUES (?, ?)", [case_id, self._next()])


QUEUE_VIEW = web.AppKey("queue_view", QueueView)


def _apply_each(apply: _Apply, file: sqlite3.Connection, records: Iterable[Taken]) -> Iterator[str]:
    """Apply the records; where those are that made no sense, and why: to be seen, but not to be stopped at."""
    for record in records:
        try:
            apply(file, record)
        except (CaseError, msgspec.MsgspecError, ValueError, RecursionError) as error:
            yield f"partition {record.partition}, offset {record.offset}: {error}"

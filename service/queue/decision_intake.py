"""Intake of decisions and exemptions into the review queue's file, and from them where the review of a case stands."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from schemas.case import Case, Group
from schemas.payment import dollars
from service.queue.batch import Batch, TopicRecord
from service.queue.database import IN_JSON, as_json
from service.queue.decisions import CaseFigures, Decision, review_of, silence_key
from service.queue.exemptions import Exemption, Exemptions
from service.queue.subjects import subject_of

NOT_A_DECISION = (msgspec.MsgspecError, ValueError, RecursionError)

_decode_decision = msgspec.json.Decoder(Decision).decode
_decode_exemption = msgspec.json.Decoder(Exemption).decode
_IS_EXEMPTION = b'"exemption_id"'
"""Mark of an exemption among the records of `review_decisions`: notes may hold it, but escaped."""
_encode = msgspec.json.Encoder().encode

_REVIEW = """
UPDATE cases SET status = ?, reviewer = ?, outcome = ?, decided_at = ?, decisions = ?, reopened = ?, growth = ?,
                 proposal = ?, snoozed_until = ?, updated_at = ?, change = ?
WHERE id = ?
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


class Snooze(NamedTuple):
    """A snooze's end (ms since the epoch), and the figures above which it does not silence."""

    until: int
    max_cents: int
    max_payments: int


def apply_decisions(batch: Batch, records: Iterable[TopicRecord]) -> None:
    """Take in records of `review_decisions`, in their order."""
    concerned: set[str] = set()
    for record in records:
        try:
            if record.value is None:
                raise ValueError("a decision cannot be taken away")
            if _IS_EXEMPTION in record.value:
                concerned |= _exempt(batch, _decode_exemption(record.value))
                continue
            decision = _decode_decision(record.value)
        except NOT_A_DECISION as error:
            batch.not_understood(record, error)
            continue
        if _put_decision(batch, decision):
            concerned.add(decision.case_id)
            if decision.until is not None:
                concerned |= _snooze(batch, decision)
    review(batch, concerned)


def review(batch: Batch, case_ids: Iterable[str]) -> None:
    """Set where the review of these cases stands, as far as they are there."""
    sql = (
        "SELECT case_id, id, subject, payment_count, total_cents, rule, payor, payee_bank, payee FROM cases "
        f"WHERE case_id IN {IN_JSON}"
    )
    rows = batch.file.execute(sql, [as_json(case_ids)]).fetchall()
    decisions = _decisions(batch, [row[0] for row in rows])
    silences = {case_id: silence_key(rule, Group(*columns)) for case_id, _, _, _, _, rule, *columns in rows}
    snoozes, exemptions = _snoozes(batch, silences.values()), _exemptions(batch)
    updates = []
    for case_id, row_id, subject, count, cents, rule, *account in rows:
        snooze = snoozes.get(silences[case_id])
        until = exemptions.silenced_until(rule, Group(*account), cents)
        if snooze is not None and cents <= snooze.max_cents and count <= snooze.max_payments:
            until = max(snooze.until, until or 0)
        figures = CaseFigures(count, dollars(cents))
        stand = review_of(decisions.get(case_id, ()), figures, silenced=until is not None)
        columns = (stand.status, stand.reviewer, stand.outcome, stand.decided_at, stand.number)
        texts = (_text(stand.reopened), _text(stand.growth), _text(stand.proposal))
        updates.append((*columns, *texts, until, batch.now, batch.next_change(), row_id))
        batch.subjects.add(subject)
    batch.file.executemany(_REVIEW, updates)


def reviewed(batch: Batch, cases: Mapping[str, Case]) -> set[str]:
    """Return the ids of those cases that somebody has decided on, or whose group somebody has silenced."""
    sql = f"SELECT DISTINCT case_id FROM decisions WHERE case_id IN {IN_JSON}"
    decided = {case_id for (case_id,) in batch.file.execute(sql, [as_json(cases)])}
    [(silencing,)] = batch.file.execute("SELECT (SELECT count(*) FROM snoozes) + (SELECT count(*) FROM exemptions)")
    if not silencing:
        return decided
    exemptions = _exemptions(batch)
    decided |= {name for name, case in cases.items() if exemptions.silenced_until(case.rule, case.group, 0)}
    silences = {case_id: silence_key(case.rule, case.group) for case_id, case in cases.items()}
    silenced = _snoozes(batch, silences.values())
    return decided | {case_id for case_id, silence in silences.items() if silence in silenced}


def wake(batch: Batch) -> int:
    """Open the cases whose snooze is over; returns how many."""
    rows = batch.file.execute("SELECT case_id FROM cases WHERE snoozed_until <= ?", [batch.now]).fetchall()
    review(batch, [case_id for (case_id,) in rows])
    return len(rows)


def _put_decision(batch: Batch, decision: Decision) -> bool:
    """Put a decision down; returns whether it takes effect."""
    sql = "SELECT count(*) FROM decisions WHERE case_id = ? AND took_effect"
    [(effective,)] = batch.file.execute(sql, [decision.case_id])
    took_effect = decision.number == effective + 1
    row = (decision.case_id, decision.number, decision.decision_id, took_effect, _encode(decision))
    batch.file.execute("INSERT OR IGNORE INTO decisions VALUES (?, ?, ?, ?, ?)", row)
    return bool(took_effect)


def _snooze(batch: Batch, decision: Decision) -> set[str]:
    """Silence a rule for a group; returns the ids of its cases.

    Decisions on a group's several cases have no common order on the topic: the latest one by its time counts.
    """
    group = decision.group
    subject_id = subject_of(group).subject_id
    values = (decision.time, decision.decision_id, decision.until, *decision.ceiling, _encode(decision))
    batch.file.execute(_SNOOZE, [silence_key(decision.rule, group), *values])
    sql = (
        "SELECT case_id FROM cases WHERE subject = (SELECT id FROM subjects WHERE subject_id = ?) AND rule = ? "
        "AND payor IS ? AND payee_bank IS ? AND payee IS ?"
    )
    columns = (group.payor_account_no, group.payee_bank, group.payee_account_no)
    return {case_id for (case_id,) in batch.file.execute(sql, [subject_id, decision.rule, *columns])}


def _exempt(batch: Batch, exemption: Exemption) -> set[str]:
    """Put an exemption down, or its end; returns the ids of the cases that it is about. The latest one counts."""
    group = exemption.group
    # Whichever way a case spells its bank; which of these it silences `review` says.
    account = {"payor": group.payor_account_no, "payee": group.payee_account_no}
    columns = {column: value for column, value in account.items() if value is not None}
    if not columns:
        raise ValueError("the exemption names no account")
    row = (exemption.exemption_id, exemption.time, exemption.until, not exemption.ended, _encode(exemption))
    batch.file.execute(_EXEMPT, row)
    where = " AND ".join(f"{column} = ?" for column in columns)
    rows = batch.file.execute(f"SELECT case_id FROM cases WHERE {where}", [*columns.values()])
    return {case_id for (case_id,) in rows}


def _exemptions(batch: Batch) -> Exemptions:
    """The exemptions that hold now."""
    rows = batch.file.execute("SELECT body FROM exemptions WHERE live AND until > ?", [batch.now])
    return Exemptions(_decode_exemption(body) for (body,) in rows)


def _decisions(batch: Batch, case_ids: Iterable[str]) -> dict[str, list[Decision]]:
    """The decisions on cases that took effect, in order of their numbers."""
    sql = f"SELECT case_id, body FROM decisions WHERE case_id IN {IN_JSON} AND took_effect ORDER BY case_id, number"
    decisions: defaultdict[str, list[Decision]] = defaultdict(list)
    for case_id, body in batch.file.execute(sql, [as_json(case_ids)]):
        decisions[case_id].append(_decode_decision(body))
    return decisions


def _snoozes(batch: Batch, silences: Iterable[str]) -> dict[str, Snooze]:
    """The snoozes that are not over, by what they silence."""
    sql = f"SELECT silence, until, max_cents, max_payments FROM snoozes WHERE silence IN {IN_JSON} AND until > ?"
    rows = batch.file.execute(sql, [as_json(silences), batch.now])
    return {silence: Snooze(*columns) for silence, *columns in rows}


def _text(value: msgspec.Struct | None) -> str | None:
    return None if value is None else _encode(value).decode()

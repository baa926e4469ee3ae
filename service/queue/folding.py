"""Folding subjects anew, at the end of a batch that has changed cases of theirs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from service.queue.batch import Batch
from service.queue.database import IN_JSON, as_json
from service.queue.subjects import LEAST, CaseState, fold, worst

MAX_FOLDED = 2_000
"""Subjects whose cases are in memory at once."""

_STATES = f"""
SELECT subject, rule, status, reviewer, decided_at, snoozed_until, growth, first_payment_at, last_payment_at, fired_at,
       payment_count, total_cents, listed, record, decisions, agreement, changed_at
FROM cases WHERE subject IN {IN_JSON} ORDER BY subject
"""
_DISTINCT = f"""
SELECT subject, count(*), coalesce(sum(cents), 0), count(cents) = count(*) FROM listed
WHERE subject IN {IN_JSON} GROUP BY subject
"""
_FOLD = """
UPDATE subjects SET
    payment_count = ?, total_cents = ?, exact = ?, status = ?, reviewer = ?, decided_at = ?, snoozed_until = ?,
    growth = ?, rules = ?, cases = ?, open_cases = ?, first_payment_at = ?, last_payment_at = ?, fired_at = ?,
    version = ?, agreement = ?, changed_at = ?, updated_at = ?, change = ?
WHERE id = ?
"""
_JUDGE = "UPDATE subjects SET agreement = ?, changed_at = ?, updated_at = ?, change = ? WHERE id = ?"


def fold_subjects(batch: Batch) -> None:
    """Bring the subjects of all cases that the batch has changed up to date."""
    for subjects in _chunks(batch.subjects):
        _fold(batch, subjects)
    for subjects in _chunks(batch.judged - batch.subjects):
        _judge(batch, subjects)


def _chunks(subjects: Iterable[int]) -> Iterator[list[int]]:
    remaining = iter(sorted(subjects))
    while chunk := list(islice(remaining, MAX_FOLDED)):
        yield chunk


def _fold(batch: Batch, subjects: Sequence[int]) -> None:
    """Fold these subjects anew; those that have no case any more go."""
    ids = as_json(subjects)
    distinct = {row[0]: row[1:] for row in batch.file.execute(_DISTINCT, [ids])}
    states: defaultdict[int, list[CaseState]] = defaultdict(list)
    for case in map(CaseState._make, batch.file.execute(_STATES, [ids])):
        states[case.subject].append(case)
    rows = []
    for subject, cases in states.items():
        state = fold(cases)
        count, cents, priced = distinct.get(subject, (0, 0, True))
        figures = (max(count, state.least_count), max(cents, state.least_cents), bool(priced and state.exact))
        rows.append((*figures, *state[: -len(LEAST)], batch.now, batch.next_change(), subject))
    batch.file.executemany(_FOLD, rows)
    for subject in set(subjects) - states.keys():
        [(subject_id,)] = batch.file.execute("SELECT subject_id FROM subjects WHERE id = ?", [subject])
        batch.file.execute("DELETE FROM subjects WHERE id = ?", [subject])
        batch.file.execute("INSERT OR REPLACE INTO gone VALUES (?, 1, ?)", [subject_id, batch.next_change()])


def _judge(batch: Batch, subjects: Sequence[int]) -> None:
    """Say of these subjects what the engines say together of their cases; nothing else of them has changed."""
    sql = f"SELECT subject, agreement, changed_at FROM cases WHERE subject IN {IN_JSON}"
    verdicts: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for subject, agreement, changed_at in batch.file.execute(sql, [as_json(subjects)]):
        verdicts[subject].append((agreement, changed_at))
    rows = [(*worst(several), batch.now, batch.next_change(), subject) for subject, several in verdicts.items()]
    batch.file.executemany(_JUDGE, rows)

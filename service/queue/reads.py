"""What can be read of the view of the review queue. Each function takes the view first, and blocks."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from service.queue.agreement import KsqldbRow, difference_of, engines_of
from service.queue.decisions import TRUE_OUTCOMES
from service.queue.query import SORTS, Cursor, Query
from service.queue.view import LAST_CHANGE, QueueView

Item = dict[str, Any]
"""A case as it is answered: its members on the topic, and what the queue knows of it."""

MOST_RELATED = 50
NUMBERS = 10_000
"""A case's version is its record's place on the topic, times this, and the number of its last decision."""

_decode_ksqldb = msgspec.msgpack.Decoder(KsqldbRow).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

_LATE = "coalesce((SELECT payments FROM late WHERE case_id = c.case_id), 0)"
_OURS = (
    "late_payments",
    "status",
    "agreement",
    "version",
    "reviewer",
    "outcome",
    "decided_at",
    "decisions",
    "reopened",
    "snoozed_until",
    "updated_at",
)


class Change(NamedTuple):
    """A change: the name of the file that it is counted in, and its number there."""

    epoch: str
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.number}"


class Changes(NamedTuple):
    """What has changed since a moment: cases with the number of their change, and whether they match; and ids."""

    cases: list[tuple[int, bool, Item]]
    gone: list[tuple[int, str]]


def page(view: QueueView, query: Query) -> tuple[list[Item], Cursor | None]:
    """The cases that a query asks for, and where the next page begins if there is one."""
    where, values = query.conditions(_agreement(view))
    column, order = SORTS[query.sort_name], "DESC" if query.descending else "ASC"
    # The rows are chosen in an index alone; the rest is fetched for those that were chosen.
    sql = (
        f"SELECT {_columns(view)}, b.body, c.case_id, c.{column} FROM (SELECT id FROM cases{where} "
        f"ORDER BY {column} {order}, case_id {order} LIMIT ?) "
        f"JOIN cases c USING (id) JOIN bodies b USING (id) ORDER BY c.{column} {order}, c.case_id {order}"
    )
    rows = view.read(sql, [*values, query.limit + 1])
    shown = rows[: query.limit]
    last = shown[-1] if len(rows) > query.limit else None
    cursor = Cursor(query.sort, last[-1], last[-2]) if last else None
    return [_item(row) for row in shown], cursor


def case(view: QueueView, case_id: str) -> Item | None:
    """One case."""
    sql = f"SELECT {_columns(view)}, b.body FROM cases c JOIN bodies b ON b.id = c.id WHERE case_id = ?"
    rows = view.read(sql, [case_id])
    return _item(rows[0]) if rows else None


def detail(view: QueueView, case_id: str) -> Item | None:
    """One case with its history, both engines' figures, the snooze that silences it, and related cases."""
    found = case(view, case_id)
    if found is None:
        return None
    bodies = view.read("SELECT body FROM bodies JOIN cases USING (id) WHERE case_id = ? AND record > 0", [case_id])
    theirs = view.read("SELECT body FROM ksqldb WHERE case_id = ?", [case_id])
    engines = engines_of(_decode_ksqldb(theirs[0][0]) if theirs else None, bodies[0][0] if bodies else None)
    more = {"history": history(view, case_id), "engines": engines, "snooze": _snooze(view, case_id)}
    return {**found, **more, "related": related(view, case_id)}


def history(view: QueueView, case_id: str) -> list[Item]:
    """The decisions on a case, oldest first; `took_effect` is false of one that came second with its number."""
    sql = "SELECT took_effect, body FROM decisions WHERE case_id = ? ORDER BY number, took_effect DESC"
    return [{**_decode_members(body), "took_effect": bool(took)} for took, body in view.read(sql, [case_id])]


def took_effect(view: QueueView, case_id: str, decision_id: str) -> bool:
    """Whether a decision stands."""
    sql = "SELECT took_effect FROM decisions WHERE case_id = ? AND decision_id = ?"
    return any(took for (took,) in view.read(sql, [case_id, decision_id]))


def versions(view: QueueView, case_ids: Sequence[str]) -> dict[str, int]:
    """The versions of those cases that there are."""
    places = ", ".join("?" * len(case_ids))
    sql = f"SELECT case_id, record * {NUMBERS} + decisions FROM cases WHERE case_id IN ({places})"
    return dict(view.read(sql, case_ids))


def related(view: QueueView, case_id: str) -> list[Item]:
    """Other cases of the same payor or the same payee, the latest first, without their payments."""
    sql = f"""
        WITH this AS (SELECT payor, payee, payee_bank FROM cases WHERE case_id = :id),
        near AS (
            SELECT id FROM cases WHERE payor = (SELECT payor FROM this)
            UNION
            SELECT id FROM cases
            WHERE payee = (SELECT payee FROM this) AND payee_bank = (SELECT payee_bank FROM this)
        ),
        latest AS (
            SELECT * FROM cases WHERE id IN near AND case_id <> :id
            ORDER BY last_payment_at DESC, case_id LIMIT {MOST_RELATED}
        )
        SELECT {_columns(view)}, b.body FROM latest c JOIN bodies b ON b.id = c.id
        ORDER BY c.last_payment_at DESC, c.case_id
    """
    return [_without_payments(_item(row)) for row in view.read(sql, {"id": case_id})]


def counts(view: QueueView, query: Query) -> Item:
    """How many cases match, by status and by rule; and what became of each rule's closed cases."""
    where, values = query.conditions(_agreement(view))
    status: defaultdict[str, int] = defaultdict(int)
    rules: defaultdict[str, int] = defaultdict(int)
    for each_status, rule, number in view.read(
        f"SELECT status, rule, count(*) FROM cases{where} GROUP BY status, rule", values
    ):
        status[each_status] += number
        rules[rule] += number
    return {"total": sum(status.values()), "status": status, "rules": rules, "precision": precision(view)}


def precision(view: QueueView) -> dict[str, Item]:
    """Each rule's precision as reviewers see it: of its closed cases, how many they did not call false."""
    sql = "SELECT rule, outcome, count(*) FROM cases WHERE outcome IS NOT NULL GROUP BY rule, outcome"
    outcomes: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for rule, outcome, number in view.read(sql):
        outcomes[rule][outcome] = number
    return {
        rule: {**found, "precision": sum(found.get(each, 0) for each in TRUE_OUTCOMES) / sum(found.values())}
        for rule, found in outcomes.items()
    }


def changes(view: QueueView, since: int, query: Query, most: int) -> Changes:
    """What has changed after the change `since`, in order, without the cases' payments."""
    where, values = query.conditions(_agreement(view))
    matches = f"EXISTS (SELECT 1 FROM cases m{where} AND m.id = c.id)" if where else "1"
    sql = (
        f"SELECT {_columns(view)}, b.body, c.change, {matches} FROM cases c JOIN bodies b ON b.id = c.id "
        "WHERE c.id IN (SELECT id FROM cases WHERE change > ? ORDER BY change LIMIT ?) ORDER BY c.change"
    )
    rows = view.read(sql, [*values, since, most])
    gone = view.read("SELECT change, case_id FROM gone WHERE change > ? ORDER BY change LIMIT ?", [since, most])
    return Changes([(row[-2], bool(row[-1]), _without_payments(_item(row))) for row in rows], gone)


def last_change(view: QueueView) -> Change:
    """The last change."""
    return Change(*view.read(LAST_CHANGE)[0])


def judged(view: QueueView, rule: str, open_after: int) -> dict[str, tuple[int, int]]:
    """A rule's windows: by agreement (and "late"), how many; and how many of them end at or before a time."""
    now = _agreement(view)
    kind = f"CASE WHEN {now} NOT IN ('agree', 'pending') AND {_LATE} THEN 'late' ELSE {now} END"
    sql = f"SELECT {kind}, count(*), sum(window_end <= ?) FROM cases c WHERE rule = ? GROUP BY 1"
    return {kind: (count, settled) for kind, count, settled in view.read(sql, [open_after, rule])}


def differences(view: QueueView, most: int) -> list[dict[str, Any]]:
    """The first windows on which the engines do not agree, in order of rule and window."""
    sql = f"""
        SELECT k.body, CASE WHEN c.record THEN b.body END, {_LATE} FROM cases c JOIN bodies b USING (id)
        LEFT JOIN ksqldb k ON k.case_id = c.case_id
        WHERE {_agreement(view)} NOT IN ('agree', 'pending', 'off')
        ORDER BY rule, window_start, c.case_id LIMIT {most}
    """
    found = [difference_of(_decode_ksqldb(row[0]) if row[0] else None, row[1], row[2]) for row in view.read(sql)]
    return [each for each in found if each]


def disagreements(view: QueueView) -> int:
    """How many windows there are on which the engines do not agree."""
    sql = f"SELECT count(*) FROM cases WHERE {_agreement(view)} NOT IN ('agree', 'pending', 'off')"
    return int(view.read(sql)[0][0])


def count(view: QueueView, status: str | None = None) -> int:
    """How many cases there are, of a status or of all."""
    if status is None:
        return int(view.read("SELECT count(*) FROM cases")[0][0])
    return int(view.read("SELECT count(*) FROM cases WHERE status = ?", [status])[0][0])


def by_status(view: QueueView) -> dict[str, int]:
    """How many cases there are of each status that any has."""
    return dict(view.read("SELECT status, count(*) FROM cases GROUP BY status"))


def _agreement(view: QueueView) -> str:
    """SQL of what a case's agreement is now."""
    if view.compared_until is None:
        return "'off'"
    known = f"agreement = 'agree' OR changed_at < {view.compared_until:d}"
    return f"(CASE WHEN {known} THEN agreement ELSE 'pending' END)"


def _columns(view: QueueView) -> str:
    """The columns of `_OURS`, in their order."""
    version = f"c.record * {NUMBERS} + c.decisions"
    return (
        f"{_LATE}, c.status, {_agreement(view)}, {version}, c.reviewer, c.outcome, c.decided_at, c.decisions, "
        "c.reopened, c.snoozed_until, c.updated_at"
    )


def _item(row: tuple[Any, ...]) -> Item:
    ours = dict(zip(_OURS, row, strict=False))
    ours["reopened"] = ours["reopened"] and msgspec.Raw(ours["reopened"].encode())
    return {**_decode_members(row[len(_OURS)]), **ours}


def _without_payments(item: Item) -> Item:
    item.pop("payments", None)
    return item


def _snooze(view: QueueView, case_id: str) -> Mapping[str, Any] | None:
    """The decision that silences the case's rule for its group now."""
    sql = (
        "SELECT s.body FROM snoozes s JOIN cases c ON c.subject = s.subject "
        "WHERE c.case_id = ? AND c.snoozed_until IS NOT NULL"
    )
    rows = view.read(sql, [case_id])
    return _decode_members(rows[0][0]) if rows else None

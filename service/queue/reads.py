"""Reads of cases from the view of the review queue. Each function takes the view first, and blocks."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from fraud.comparison.compare import Place, Row, place
from schemas.case import Group
from schemas.payment import dollars
from service.queue.agreement import KsqldbRow, difference_of, engines_of
from service.queue.decisions import TRUE_OUTCOMES, silence_key
from service.queue.exemptions import Exemption
from service.queue.query import Cursor, QueueQuery
from service.queue.view import LAST_CHANGE, QueueView

JsonObject = dict[str, Any]
"""A case, a subject or a part of one as it is answered."""

MAX_RELATED = 50
NUMBERS = 10_000
"""A case's version is its record's place on the topic, times this, and the number of its last decision."""

DISAGREES = "NOT IN ('agree', 'pending', 'off')"
_CASE_COLUMNS = (
    "c.case_id, c.rule, c.payor, c.payee_bank, c.payee, c.window_start, c.window_end, c.payment_count, c.total_cents, "
    "c.max_amount, c.first_payment_at, c.last_payment_at, iif(c.fired_known, c.fired_at, NULL), c.fired_at, "
    "s.subject_id, coalesce((SELECT payments FROM late WHERE case_id = c.case_id), 0), c.status, {agreement}, "
    f"c.record * {NUMBERS} + c.decisions, c.reviewer, c.outcome, c.decided_at, c.decisions, c.reopened, c.growth, "
    "c.proposal, c.snoozed_until, c.updated_at"
)
_CASE_MEMBERS = (
    *("case_id", "rule", "payor_account_no", "payee_bank", "payee_account_no", "window_start", "window_end"),
    *("payment_count", "total_amount", "max_amount", "first_payment_at", "last_payment_at", "fired_at", "due_from"),
    *("subject_id", "late_payments", "status", "agreement", "version", "reviewer", "outcome", "decided_at"),
    *("decisions", "reopened", "growth", "proposal", "snoozed_until", "updated_at"),
)
_GROUP = ("payor_account_no", "payee_bank", "payee_account_no")
_FROM = "FROM cases c JOIN subjects s ON s.id = c.subject"

_decode_ksqldb = msgspec.msgpack.Decoder(KsqldbRow).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_payments = msgspec.json.Decoder(list[dict[str, Any]]).decode


class ChangeMark(NamedTuple):
    """A change: the name of the file that it is counted in, and its number there."""

    epoch: str
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.number}"


class Changes(NamedTuple):
    """Changes since a moment: lines with the number of their change, and whether they match; and ids."""

    lines: list[tuple[int, bool, JsonObject]]
    gone: list[tuple[int, str]]


class PageRows(NamedTuple):
    """The row ids of a page's lines in their order, and where the next page begins if there is one."""

    row_ids: list[int]
    cursor: Cursor | None


def page(view: QueueView, query: QueueQuery) -> tuple[list[JsonObject], Cursor | None]:
    """Return the cases that a query asks for, and where the next page begins if there is one."""
    rows = page_rows(view, query)
    sql = f"SELECT {_columns(view)}, b.payments, c.id {_FROM} JOIN bodies b ON b.id = c.id WHERE c.id IN {in_json()}"
    items = {row[-1]: _case(row, payments=row[-2]) for row in view.read(sql, [as_json(rows.row_ids)])}
    return [items[row_id] for row_id in rows.row_ids if row_id in items], rows.cursor


def page_rows(view: QueueView, query: QueueQuery) -> PageRows:
    """Return a page's rows: every line that was there when reading began comes once, wherever it has moved since."""
    table, column, line_id, direction = query.table, query.column, query.line_id, query.direction
    where, values = query.where(agreement_now(view))
    order = f"ORDER BY 2 {direction}, 3 {direction} LIMIT {query.limit + 1:d}"
    after = query.after
    with view.snapshot() as file:
        if after is None:
            epoch, change = file.execute(LAST_CHANGE).fetchone()
            began = int(time.time() * 1000)
            sql = f"SELECT id, {column}, {line_id} FROM {table} WHERE {where} {order}"
            rows = file.execute(sql, values).fetchall()
        else:
            epoch, change, began = after.epoch, after.change, after.began
            moved = ("change > ?", change) if epoch == view.epoch else ("at > ?", began)
            # Of the bare columns beside min(), SQLite takes those of that row: the line as it was before it moved.
            past = f"(SELECT id, {column} AS old, min(change) FROM past_{table} WHERE {moved[0]} GROUP BY id)"
            compare = "<" if direction == "DESC" else ">"
            sql = (
                f"SELECT * FROM (SELECT id, {column}, {line_id} FROM {table} WHERE {where} "
                f"AND ({column}, {line_id}) {compare} (?, ?) AND id NOT IN (SELECT id FROM {past}) {order}) UNION ALL "
                f"SELECT t.id, old, {line_id} FROM {past} p JOIN {table} t USING (id) "
                f"WHERE (old, {line_id}) {compare} (?, ?) AND t.id IN (SELECT id FROM {table} WHERE {where}) {order}"
            )
            at = [after.value, after.line_id]
            rows = file.execute(sql, [*values, *at, moved[1], moved[1], *at, *values]).fetchall()
    last = rows[query.limit - 1] if len(rows) > query.limit else None
    cursor = Cursor(query.sort, last[1], last[2], epoch, change, began) if last else None
    return PageRows([row[0] for row in rows[: query.limit]], cursor)


def cases(view: QueueView, case_ids: Sequence[str]) -> dict[str, JsonObject]:
    """Return those of these cases that there are, by id, without their payments."""
    sql = f"SELECT {_columns(view)} {_FROM} WHERE c.case_id IN {in_json()}"
    items = [_case(row) for row in view.read(sql, [as_json(case_ids)])]
    return {item["case_id"]: item for item in items}


def cases_of(view: QueueView, subject: int) -> list[JsonObject]:
    """Return a subject's cases with their payments, the earliest to fire first; `subject` is its row id."""
    sql = (
        f"SELECT {_columns(view)}, b.payments {_FROM} JOIN bodies b ON b.id = c.id WHERE c.subject = ? "
        "ORDER BY c.fired_at, c.case_id"
    )
    return [_case(row, payments=row[-1]) for row in view.read(sql, [subject])]


def payments(view: QueueView, case_id: str) -> list[JsonObject]:
    """Return the payments that a case lists; none where there is no such case."""
    rows = view.read("SELECT payments FROM bodies JOIN cases USING (id) WHERE case_id = ?", [case_id])
    return _decode_payments(rows[0][0]) if rows else []


def case_detail(view: QueueView, case_id: str) -> JsonObject | None:
    """Return a case with its payments, history, both engines' figures, snooze, and related cases; None without one."""
    sql = (
        f"SELECT {_columns(view)}, b.payments, k.body, c.record {_FROM} JOIN bodies b ON b.id = c.id "
        "LEFT JOIN ksqldb k ON k.case_id = c.case_id WHERE c.case_id = ?"
    )
    rows = view.read(sql, [case_id])
    if not rows:
        return None
    *_, listed, body, record = row = rows[0]
    item = _case(row, payments=listed)
    ksqldb = _decode_ksqldb(body) if body else None
    python = _row(item, listed) if record else None
    engines = engines_of(_place(item), ksqldb and ksqldb.row, python)
    more = {"history": history(view, [case_id]), "engines": engines, "snooze": _snooze(view, case_id)}
    return {**item, **more, "related": related(view, case_id)}


def history(view: QueueView, case_ids: Sequence[str]) -> list[JsonObject]:
    """Return the decisions on cases, oldest first; `took_effect` is false of one that came second with its number."""
    sql = (
        f"SELECT took_effect, body FROM decisions WHERE case_id IN {in_json()} "
        "ORDER BY body ->> 'time', number, took_effect DESC"
    )
    rows = view.read(sql, [as_json(case_ids)])
    return [{**_decode_members(body), "took_effect": bool(took_effect)} for took_effect, body in rows]


def effective(view: QueueView, decision_ids: Mapping[str, str]) -> set[str]:
    """Return the ids of the cases on which these decisions stand; `decision_ids` by case id."""
    sql = f"SELECT case_id, decision_id FROM decisions WHERE case_id IN {in_json()} AND took_effect"
    rows = view.read(sql, [as_json(list(decision_ids))])
    return {case_id for case_id, decision_id in rows if decision_ids[case_id] == decision_id}


def exemptions(view: QueueView) -> list[JsonObject]:
    """Return all exemptions, those that hold first, the latest of them first; `live`: it holds now."""
    sql = "SELECT live AND until > ?, body FROM exemptions ORDER BY 1 DESC, time DESC, exemption_id"
    rows = view.read(sql, [int(time.time() * 1000)])
    return [{**_decode_members(body), "live": bool(live)} for live, body in rows]


def exemption(view: QueueView, exemption_id: str) -> Exemption | None:
    """Return an exemption that nobody has ended; None without one."""
    rows = view.read("SELECT body FROM exemptions WHERE exemption_id = ? AND live", [exemption_id])
    return msgspec.json.decode(rows[0][0], type=Exemption) if rows else None


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
        SELECT {_columns(view)} {_FROM} WHERE c.id IN near AND c.case_id <> :id
        ORDER BY c.last_payment_at DESC, c.case_id LIMIT {MAX_RELATED}
    """
    return [_case(row) for row in view.read(sql, {"id": case_id})]


def counts(view: QueueView, query: QueueQuery) -> JsonObject:
    """Count what matches, by status and by rule; a subject counts for each of its rules."""
    where, values = query.where(agreement_now(view))
    rule = "rule" if query.table == "cases" else "rules"
    # The + keeps SQLite from grouping by an index, for whose every entry it would have to look up the row.
    group = f"status, {rule}" if where == "1" else f"+status, +{rule}"
    sql = f"SELECT status, {rule}, count(*) FROM {query.table} WHERE {where} GROUP BY {group}"
    status: defaultdict[str, int] = defaultdict(int)
    rules: defaultdict[str, int] = defaultdict(int)
    for line_status, line_rules, number in view.read(sql, values):
        status[line_status] += number
        for name in line_rules.strip(",").split(","):
            rules[name] += number
    return {"total": sum(status.values()), "status": status, "rules": rules, "precision": precision(view)}


def precision(view: QueueView) -> dict[str, JsonObject]:
    """Return each rule's precision as reviewers see it: of its closed cases, how many they did not call false."""
    sql = "SELECT rule, outcome, count(*) FROM cases WHERE outcome IS NOT NULL GROUP BY rule, outcome"
    outcomes: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for rule, outcome, number in view.read(sql):
        outcomes[rule][outcome] = number
    return {
        rule: {**numbers, "precision": sum(numbers.get(name, 0) for name in TRUE_OUTCOMES) / sum(numbers.values())}
        for rule, numbers in outcomes.items()
    }


def changes(view: QueueView, since: int, query: QueueQuery, most: int) -> Changes:
    """Return the cases that changed after the change `since`, in its order, without their payments."""
    where, values = query.where(agreement_now(view))
    sql = (
        f"SELECT {_columns(view)}, c.change, c.id IN (SELECT id FROM cases WHERE id = c.id AND {where}) {_FROM} "
        "WHERE c.id IN (SELECT id FROM cases WHERE change > ? ORDER BY change LIMIT ?) ORDER BY c.change"
    )
    rows = view.read(sql, [*values, since, most])
    return Changes([(row[-2], bool(row[-1]), _case(row)) for row in rows], gone(view, since, most, subjects=False))


def gone(view: QueueView, since: int, most: int, *, subjects: bool) -> list[tuple[int, str]]:
    """Return the changes after `since` with which cases, or subjects, went, and their ids."""
    sql = "SELECT change, id FROM gone WHERE change > ? AND is_subject = ? ORDER BY change LIMIT ?"
    return view.read(sql, [since, subjects, most])


def last_change(view: QueueView) -> ChangeMark:
    """Return the last change."""
    return ChangeMark(*view.read(LAST_CHANGE)[0])


def judged(view: QueueView, rule: str, open_after: int) -> dict[str, tuple[int, int]]:
    """Count a rule's windows by agreement, or as repeated, late, expired; and those that end at or before a time."""
    now = agreement_now(view)
    uncounted = " ".join(
        f"WHEN {now} NOT IN ('agree', 'pending') AND case_id IN (SELECT case_id FROM {reason}) THEN '{reason}'"
        for reason in ("repeated", "late")
    )
    kind = f"CASE WHEN {_expired(view)} THEN 'expired' {uncounted} ELSE {now} END"
    sql = f"SELECT {kind}, count(*), sum(window_end <= ?) FROM cases WHERE rule = ? GROUP BY 1"
    return {kind: (count, settled) for kind, count, settled in view.read(sql, [open_after, rule])}


def differences(view: QueueView, most: int) -> list[JsonObject]:
    """Return the first windows on which the engines do not agree, in order of rule and window."""
    sql = f"""
        SELECT {_columns(view)}, b.payments, k.body, c.record,
            coalesce((SELECT payments FROM repeated WHERE case_id = c.case_id), 0) {_FROM} JOIN bodies b ON b.id = c.id
        LEFT JOIN ksqldb k ON k.case_id = c.case_id
        WHERE {agreement_now(view, "c")} {DISAGREES} AND NOT {_expired(view, "c.")}
        ORDER BY c.rule, c.window_start, c.case_id LIMIT {most:d}
    """
    verdicts = []
    for *columns, listed, body, record, repeated in view.read(sql):
        item = _case(columns)
        ksqldb = _decode_ksqldb(body).row if body else None
        python = _row(item, listed) if record else None
        verdicts.append(difference_of(_place(item), ksqldb, python, item["late_payments"], repeated))
    return [unequal for unequal in verdicts if unequal]


def disagreements(view: QueueView) -> int:
    """Count the windows on which the engines do not agree."""
    sql = f"SELECT count(*) FROM cases WHERE {agreement_now(view)} {DISAGREES} AND NOT {_expired(view)}"
    return int(view.read(sql)[0][0])


def count(view: QueueView, status: str | None = None) -> int:
    """Count the cases of a status, or all."""
    if status is None:
        return int(view.read("SELECT count(*) FROM cases")[0][0])
    return int(view.read("SELECT count(*) FROM cases WHERE status = ?", [status])[0][0])


def by_status(view: QueueView) -> dict[str, int]:
    """Count the cases of each status that any has."""
    return dict(view.read("SELECT status, count(*) FROM cases GROUP BY status"))


def in_json() -> str:
    """SQL of the values in a parameter that is a JSON array: any number of them are one statement."""
    return "(SELECT value FROM json_each(?))"


def as_json(values: Sequence[str] | Sequence[int]) -> str:
    """Return the parameter for `in_json`."""
    return msgspec.json.encode(values).decode()


def agreement_now(view: QueueView, table: str = "") -> str:
    """SQL of what a line's agreement is now."""
    if view.compared_until is None:
        return "'off'"
    prefix = f"{table}." if table else ""
    settled = f"{prefix}agreement = 'agree' OR {prefix}changed_at < {view.compared_until:d}"
    return f"(CASE WHEN {settled} THEN {prefix}agreement ELSE 'pending' END)"


def _expired(view: QueueView, prefix: str = "") -> str:
    """SQL of whether the second engine's row of a window may be lost, so that nothing can be said of it."""
    if not view.expired_until:
        return "0"
    limits = " ".join(f"WHEN '{rule}' THEN {start:d}" for rule, start in view.expired_until.items())
    start = f"CASE {prefix}rule {limits} ELSE -1 END"
    return f"({prefix}agreement = 'only_python' AND {prefix}window_start <= {start})"


def _columns(view: QueueView) -> str:
    """The columns of _CASE_MEMBERS, in their order."""
    return _CASE_COLUMNS.format(agreement=agreement_now(view, "c"))


def _case(row: Sequence[Any], payments: bytes | None = None) -> JsonObject:
    """A case from the columns of _CASE_MEMBERS."""
    item = dict(zip(_CASE_MEMBERS, row, strict=False))
    group = {name: value for name in _GROUP if (value := item.pop(name)) is not None}
    item |= {"group": group, "total_amount": dollars(item["total_amount"])}
    for name in ("reopened", "growth", "proposal"):
        item[name] = item[name] and msgspec.Raw(item[name].encode())
    return item if payments is None else {**item, "payments": msgspec.Raw(payments)}


def _place(item: JsonObject) -> Place:
    return place(item["rule"], item["window_start"], item["group"])


def _row(item: JsonObject, listed: bytes) -> Row:
    """Python's row of a case, as the engines are compared by."""
    ids = tuple(sorted(payment["id"] for payment in _decode_payments(listed)))
    figures = (item["window_end"], item["payment_count"], Decimal(item["total_amount"]), item["max_amount"])
    return Row(*figures, ids)


def _snooze(view: QueueView, case_id: str) -> Mapping[str, Any] | None:
    """The decision that silences the case's rule for its group now."""
    sql = "SELECT rule, payor, payee_bank, payee FROM cases WHERE case_id = ? AND snoozed_until IS NOT NULL"
    for rule, *columns in view.read(sql, [case_id]):
        rows = view.read("SELECT body FROM snoozes WHERE silence = ?", [silence_key(rule, Group(*columns))])
        if rows:
            return _decode_members(rows[0][0])
    return None

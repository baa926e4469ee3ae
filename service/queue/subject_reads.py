"""Reads of subjects from the view of the review queue. Each function takes the view first, and blocks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from fraud.rules import COLUMNS
from schemas.payment import dollars
from service.queue.case_reads import cases_of
from service.queue.changes import Changes, removals
from service.queue.database import IN_JSON, as_json
from service.queue.decision_reads import history
from service.queue.items import NUMBERS, JsonObject
from service.queue.paging import page_rows
from service.queue.query import Cursor, QueueQuery
from service.queue.subjects import OPEN, containers, distinct_payments
from service.queue.view import QueueView

MAX_CASES = 20
"""Cases of a subject on a page of subjects: the open ones first, then the latest."""
MAX_COMPARED_PAYMENTS = 100
"""Payments of a case beyond which a page of subjects does not look for those that contain it."""
MAX_RELATED = 30

_MEMBERS = (
    *("subject_id", "payor_account_no", "payee_bank", "payee_account_no", "status", "reviewer", "decided_at"),
    *("snoozed_until", "growth", "rules", "case_count", "open_cases", "payment_count", "total_amount", "exact"),
    *("first_payment_at", "last_payment_at", "fired_at", "agreement", "version", "updated_at"),
)
_COLUMNS = (
    "s.subject_id, s.payor, s.payee_bank, s.payee, s.status, s.reviewer, s.decided_at, s.snoozed_until, s.growth, "
    "s.rules, s.cases, s.open_cases, s.payment_count, s.total_cents, s.exact, s.first_payment_at, s.last_payment_at, "
    "s.fired_at, {agreement}, s.version, s.updated_at"
)
_SUMMARY = (
    *("case_id", "rule", "status", "reviewer", "payment_count", "total_amount", "window_start", "window_end"),
    *("last_payment_at", "version", "listed"),
)
_decode_ids = msgspec.json.Decoder(list[dict[str, Any]]).decode


def page(view: QueueView, query: QueueQuery) -> tuple[list[JsonObject], Cursor | None]:
    """Return the subjects that a query asks for, and where the next page begins if there is one."""
    rows = page_rows(view, query)
    items = _subjects(view, rows.row_ids)
    return [items[row_id] for row_id in rows.row_ids if row_id in items], rows.cursor


def subject(view: QueueView, subject_id: str) -> JsonObject | None:
    """Return a subject with its cases, distinct payments, history and related subjects; None without one."""
    rows = view.read("SELECT id FROM subjects WHERE subject_id = ?", [subject_id])
    if not rows:
        return None
    [(row_id,)] = rows
    item = _subjects(view, [row_id]).get(row_id)
    if item is None:
        return None
    cases = cases_of(view, row_id)
    listed = {case["case_id"]: _decode_ids(case.pop("payments")) for case in cases}
    contained = _contained(cases, listed)
    payments = distinct_payments(listed)
    rules = {case["case_id"]: case["rule"] for case in cases}
    for payment in payments:
        payment["rules"] = sorted({rules[case_id] for case_id in payment["cases"]})
        _complete(payment, cases)
    return {
        **item,
        "cases": [case | {"contained_in": contained.get(case["case_id"])} for case in cases],
        "payments": payments,
        "history": history(view, list(listed)),
        "related": related(view, row_id),
    }


def related(view: QueueView, row_id: int) -> list[JsonObject]:
    """Return other subjects that share a payor or a payee with this one in their cases' groups, the latest first."""
    sql = f"""
        WITH own AS (SELECT payor, payee, payee_bank FROM cases WHERE subject = :id),
        near AS (
            SELECT subject FROM cases WHERE payor IN (SELECT payor FROM own)
            UNION
            SELECT subject FROM cases WHERE (payee, payee_bank) IN (SELECT payee, payee_bank FROM own)
        )
        SELECT id FROM subjects WHERE id IN near AND id <> :id
        ORDER BY last_payment_at DESC, subject_id LIMIT {MAX_RELATED}
    """
    ids = [other for (other,) in view.read(sql, {"id": row_id})]
    items = _subjects(view, ids)
    return [{name: value for name, value in items[other].items() if name != "cases"} for other in ids]


def case_versions(view: QueueView, subject_ids: Sequence[str]) -> dict[str, tuple[int, list[str]]]:
    """Return the version and the ids of all cases of these subjects, by subject id."""
    sql = (
        "SELECT s.subject_id, s.version, c.case_id FROM subjects s JOIN cases c ON c.subject = s.id "
        f"WHERE s.subject_id IN {IN_JSON}"
    )
    versions: dict[str, int] = {}
    cases: defaultdict[str, list[str]] = defaultdict(list)
    for subject_id, version, case_id in view.read(sql, [as_json(subject_ids)]):
        versions[subject_id] = version
        cases[subject_id].append(case_id)
    return {subject_id: (version, cases[subject_id]) for subject_id, version in versions.items()}


def totals(view: QueueView, subject_ids: Iterable[str]) -> dict[str, int]:
    """Return the sums of these subjects' distinct payments in cents, by subject id."""
    sql = f"SELECT subject_id, total_cents FROM subjects WHERE subject_id IN {IN_JSON}"
    return dict(view.read(sql, [as_json(list(subject_ids))]))


def changes(view: QueueView, since: int, query: QueueQuery, limit: int) -> Changes:
    """Return the subjects that changed after the change `since`, in its order."""
    where, values = query.where(view.agreement_now())
    sql = (
        f"SELECT id, change, id IN (SELECT id FROM subjects WHERE id = t.id AND {where}) FROM subjects t "
        "WHERE change > ? ORDER BY change LIMIT ?"
    )
    rows = view.read(sql, [*values, since, limit])
    items = _subjects(view, [row_id for row_id, _, _ in rows])
    lines = [(change, bool(matches), items[row_id]) for row_id, change, matches in rows if row_id in items]
    return Changes(lines, removals(view, since, limit, subjects=True))


def overdue(view: QueueView, fired_before: int) -> int:
    """Count the subjects that nobody has settled and that fired before a time (ms since the epoch)."""
    sql = "SELECT count(*) FROM subjects WHERE fired_at < ? AND status IN ('open', 'in_review')"
    return int(view.read(sql, [fired_before])[0][0])


def by_status(view: QueueView) -> dict[str, int]:
    """Count the subjects of each status that any has."""
    return dict(view.read("SELECT status, count(*) FROM subjects GROUP BY status"))


def _subjects(view: QueueView, row_ids: Sequence[int]) -> dict[int, JsonObject]:
    """Subjects with summaries of their cases, by row id."""
    columns = _COLUMNS.format(agreement=view.agreement_now("s"))
    rows = view.read(f"SELECT {columns}, s.id FROM subjects s WHERE s.id IN {IN_JSON}", [as_json(row_ids)])
    cases = _summaries(view, row_ids)
    return {row[-1]: _item(row) | {"cases": cases.get(row[-1], [])} for row in rows}


def _item(row: Sequence[Any]) -> JsonObject:
    """A subject from the columns of _MEMBERS."""
    item = dict(zip(_MEMBERS, row, strict=False))
    item["subject"] = {name: value for name in COLUMNS if (value := item.pop(name)) is not None}
    item["growth"] = item["growth"] and msgspec.Raw(item["growth"].encode())
    item["rules"] = item["rules"].strip(",").split(",")
    item["total_amount"] = dollars(item["total_amount"])
    item["exact"] = bool(item["exact"])
    return item


def _summaries(view: QueueView, row_ids: Sequence[int]) -> dict[int, list[JsonObject]]:
    """The first cases of subjects, by row id, each with the one that contains it."""
    sql = f"""
        SELECT {", ".join(f"r.{name}" for name in _SUMMARY if name not in ("total_amount", "version"))},
               r.total_cents, r.record * {NUMBERS} + r.decisions, r.subject,
               iif(r.listed <= {MAX_COMPARED_PAYMENTS}, (SELECT payments FROM bodies b WHERE b.id = r.id), '[]')
        FROM (
            SELECT *, row_number() OVER (
                PARTITION BY subject ORDER BY status IN ('open', 'in_review', 'snoozed') DESC, last_payment_at DESC, id
            ) AS place FROM cases WHERE subject IN {IN_JSON}
        ) r WHERE place <= {MAX_CASES} ORDER BY subject, place
    """
    names = [name for name in _SUMMARY if name not in {"total_amount", "version"}]
    cases: defaultdict[int, list[JsonObject]] = defaultdict(list)
    listed: dict[str, bytes] = {}
    for *columns, cents, version, subject_row, payments in view.read(sql, [as_json(row_ids)]):
        case = dict(zip(names, columns, strict=True)) | {"total_amount": dollars(cents), "version": version}
        del case["listed"]
        listed[case["case_id"]] = payments
        cases[subject_row].append(case)
    for several in cases.values():
        own = {case["case_id"]: _decode_ids(listed[case["case_id"]]) for case in several} if len(several) > 1 else {}
        contained = _contained(several, own)
        for case in several:
            case["contained_in"] = contained.get(case["case_id"])
    return dict(cases)


def _contained(cases: Sequence[JsonObject], listed: Mapping[str, Sequence[JsonObject]]) -> dict[str, str]:
    """Open cases that hold all payments of another open case, by the id of that."""
    open_cases = [case for case in cases if case["status"] in OPEN and listed.get(case["case_id"])]
    ids = {case["case_id"]: {payment["id"] for payment in listed[case["case_id"]]} for case in open_cases}
    sizes = {case["case_id"]: case["window_end"] - case["window_start"] for case in open_cases}
    return containers(ids, sizes)


def _complete(payment: JsonObject, cases: Sequence[JsonObject]) -> None:
    """Give a payment those of its accounts that the groups of its cases say, where the record does not."""
    own = set(payment["cases"])
    for case in cases:
        if case["case_id"] in own:
            for name, value in case["group"].items():
                payment.setdefault(name, value)

"""Subjects: the accounts that cases are about, and what several cases of one account come to. Pure.

A subject is the payor, for rules grouped by payor or by pair; the payee, for rules grouped by payee. A person who
splits one sum once makes several cases of the same payments: a reviewer works by subject, and sees each payment once.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import msgspec

from schemas.case import Group, name_id
from schemas.payment import dollars
from service.queue.decisions import DecisionKind, Growth, ReviewStatus

NAMESPACE = uuid5(NAMESPACE_URL, "urn:underten:subject")
"""Never to be changed, or links to subjects would lead nowhere."""

PRECEDENCE: tuple[ReviewStatus, ...] = ("in_review", "open", "snoozed", "escalated", "cleared")
"""A subject has the first status of these that one of its cases has."""
MAX_PAYORS = 10_000
"""Payors whose subjects are in memory: the several cases of one are made one after the other."""
OPEN = frozenset({"in_review", "open", "snoozed"})
_RANK = {status: rank for rank, status in enumerate(PRECEDENCE)}
_DECIDED_BY: dict[ReviewStatus, DecisionKind] = {
    "in_review": "claim",
    "escalated": "escalate",
    "cleared": "clear",
    "open": "reopen",
    "snoozed": "snooze",
}
_VERDICT_RANK = {"differ": 0, "only_python": 1, "only_ksqldb": 2, "agree": 3}


class Subject(NamedTuple):
    """An account: a payor, or a payee at its bank."""

    subject_id: str
    payor: int | None
    payee: int | None
    payee_bank: str | None


def subject_of(group: Group) -> Subject:
    """Return the account that a case of this group is about."""
    if group.payor_account_no is not None:
        return _payor(group.payor_account_no)
    bank, number = group.payee_bank, group.payee_account_no
    return Subject(_id(f"payee|{number}|{bank}"), None, number, bank)


@lru_cache(maxsize=MAX_PAYORS)
def _payor(account_no: int) -> Subject:
    return Subject(_id(f"payor|{account_no}"), account_no, None, None)


def _id(name: str) -> str:
    return name_id(NAMESPACE.bytes, name)


class CaseState(NamedTuple):
    """A case as far as its subject depends on it; times in ms since the epoch, as everywhere."""

    subject: int
    """The subject's row id."""
    rule: str
    status: ReviewStatus
    reviewer: str | None
    decided_at: int | None
    snoozed_until: int | None
    growth: str | None
    """JSON of a Growth."""
    first_at: int | None
    last_at: int
    fired_at: int
    payment_count: int
    total_cents: int
    listed: int
    record: int
    decisions: int
    agreement: str
    changed_at: int


class SubjectState(NamedTuple):
    """Sum of a subject's cases."""

    status: ReviewStatus
    reviewer: str | None
    decided_at: int | None
    snoozed_until: int | None
    growth: str | None
    rules: str
    """Names between commas, with one at both ends: `,structuring,velocity,`."""
    cases: int
    open_cases: int
    first_at: int | None
    last_at: int
    fired_at: int
    """That of the case that fired first among those that are not cleared; among all where all are."""
    version: int
    agreement: str
    changed_at: int
    exact: bool
    """True where its cases list all of their payments, with their amounts."""
    least_count: int
    """The count of its largest case: distinct payments are not fewer, though not all may be listed."""
    least_cents: int
    """The largest total of a case, likewise."""


LEAST = ("exact", "least_count", "least_cents")
"""The last fields of a SubjectState: they bound its distinct payments, and are no columns themselves."""


def fold(cases: Sequence[CaseState]) -> SubjectState:
    """Fold a subject's cases, of which there is at least one."""
    leading = min(cases, key=_lead)
    unsettled = [case.fired_at for case in cases if case.status != "cleared"]
    # A column is a tuple of the cases' values: what they come to is one pass of a built-in function each.
    columns: Any = CaseState._make(zip(*cases, strict=True))
    agreement, changed_at = worst(zip(columns.agreement, columns.changed_at, strict=True))
    return SubjectState(
        status=leading.status,
        reviewer=leading.reviewer,
        decided_at=max(filter(None, columns.decided_at), default=None),
        snoozed_until=leading.snoozed_until,
        growth=_growth(cases) if any(columns.reviewer) or any(columns.growth) else None,
        rules=f",{','.join(sorted(set(columns.rule)))},",
        cases=len(cases),
        open_cases=sum(map(OPEN.__contains__, columns.status)),
        first_at=min((at for at in columns.first_at if at is not None), default=None),
        last_at=max(columns.last_at),
        fired_at=min(unsettled or columns.fired_at),
        version=sum(columns.record) + sum(columns.decisions),
        agreement=agreement,
        changed_at=changed_at,
        exact=columns.listed == columns.payment_count,
        least_count=max(columns.payment_count),
        least_cents=max(columns.total_cents),
    )


def worst(verdicts: Iterable[tuple[str, int]]) -> tuple[str, int]:
    """Return the agreement that a subject has: of verdicts and the times of their cases' last change, the worst."""
    return min(verdicts, key=_rank)


def _lead(case: CaseState) -> tuple[int, int]:
    return _RANK[case.status], -(case.decided_at or 0)


def _rank(judged: tuple[str, int]) -> tuple[int, int]:
    return _VERDICT_RANK[judged[0]], -judged[1]


def _growth(cases: Sequence[CaseState]) -> str | None:
    """The latest decision that the subject has outgrown: its case has grown since, or another case has fired."""
    grown = [msgspec.json.decode(case.growth, type=Growth) for case in cases if case.growth is not None]
    newest = max((case.fired_at for case in cases if case.status == "open"), default=0)
    grown += [_decision_on(case) for case in cases if case.reviewer and newest > (case.decided_at or newest)]
    latest = max(grown, key=lambda growth: growth.time, default=None)
    return None if latest is None else msgspec.json.encode(latest).decode()


def _decision_on(case: CaseState) -> Growth:
    """The decision by which a case stands as it does, with the case's figures."""
    kind = _DECIDED_BY[case.status]
    total = dollars(case.total_cents)
    return Growth(kind, case.reviewer or "", case.decided_at or 0, case.payment_count, total)


def containers(cases: Mapping[str, AbstractSet[str]], sizes: Mapping[str, int]) -> dict[str, str]:
    """Say which open cases are contained in which: all of their payments are in that one, too.

    `cases`: payment ids by case id, of a subject's open cases; `sizes`: lengths of their windows. Of several that hold
    the same payments, the one with the shortest window holds the others; none is contained in one that is itself.
    """
    order = sorted(cases, key=lambda case: (-len(cases[case]), sizes[case], case))
    holders: defaultdict[str, list[str]] = defaultdict(list)
    contained: dict[str, str] = {}
    for case in order:
        ids = cases[case]
        candidates: Iterable[str] = holders[next(iter(ids))] if ids else ()
        holder = next((other for other in candidates if ids <= cases[other]), None)
        if holder is not None:
            contained[case] = holder
            continue
        for payment_id in ids:
            holders[payment_id].append(case)
    return contained


def distinct_payments(listed: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return each payment that any case lists once, in order of time; `cases` are the ids of those that list it.

    `listed`: by case id, payments with the members that a case lists. What one case does not know of a payment, such as
    its amount, another may.
    """
    payments: dict[str, dict[str, Any]] = {}
    for case, entries in listed.items():
        for entry in entries:
            payment = payments.setdefault(entry["id"], {"cases": []})
            payment |= {name: value for name, value in entry.items() if name not in payment}
            payment["cases"].append(case)
    return sorted(payments.values(), key=lambda payment: (payment.get("timestamp") or 0, payment["id"]))

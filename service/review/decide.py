"""Handlers of decisions: on a case, on a subject, and on many at once."""

import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, NamedTuple, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta

from schemas.case import Group
from schemas.payment import cents_of
from service.http.problems import Problem
from service.http.request_ids import record_headers
from service.http.responses import json_response
from service.metrics import METRICS
from service.queue import case_reads, decision_reads, subject_reads
from service.queue.decision_log import DECISION_LOG
from service.queue.decisions import (
    Decision,
    DecisionRequest,
    InvalidDecision,
    NotPossible,
    Review,
    check,
    is_proposal,
    permit,
)
from service.queue.items import NUMBERS, JsonObject, subject_version
from service.review.cases import no_such_case, read_case, read_subject, versioned_response
from service.review.presentation import present_case
from service.review.reading import read_view
from service.review.request_bodies import if_match, invalid, read_body_as, reviewer_of
from service.settings import SETTINGS

MAX_CASES = 500
MAX_TRIES = 5
"""Times that a decision that named no version is written again because another one came first."""
RECENT_MS = 600_000
"""A subject's latest decision explains a conflict if it is not older: its version says that it changed, not by whom."""

T = TypeVar("T", bound=DecisionRequest)


class Conflict(Problem):
    """409 for whoever came second, with what the decision was on as it is now."""

    def __init__(self, detail: str, **on: JsonObject) -> None:
        """Say who was faster, or what has changed."""
        super().__init__(409, "conflict", detail, title="Conflict", **on)


class Target(NamedTuple):
    """A case, the version that the reviewer saw (None: whatever stands), and the sum by which four eyes are judged."""

    case_id: str
    version: int | None = None
    total_cents: int | None = None


class CaseTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A case among many."""

    case_id: str
    version: int | None = None


class SubjectTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A subject among many."""

    subject_id: str
    version: int | None = None


class BulkDecisionRequest(DecisionRequest, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same decision for many cases, or for many subjects."""

    cases: Annotated[tuple[CaseTarget, ...], Meta(max_length=MAX_CASES)] = ()
    subjects: Annotated[tuple[SubjectTarget, ...], Meta(max_length=MAX_CASES)] = ()


async def decide_case(request: web.Request) -> web.Response:
    """Answer POST /review-queue/{case_id}/decisions."""
    case_id = request.match_info["case_id"]
    decision = await _read_request(request, DecisionRequest)
    [problem] = await _decide(request, [Target(case_id, if_match(request))], decision)
    if problem is not None:
        raise problem
    return versioned_response(await read_case(request.app, case_id), status=201)


async def decide_subject(request: web.Request) -> web.Response:
    """Answer POST /review-queue/subjects/{subject_id}/decisions: on each of its cases that the decision concerns."""
    subject_id = request.match_info["subject_id"]
    decision = await _read_request(request, DecisionRequest)
    [problem] = await _decide_subjects(request, [SubjectTarget(subject_id, if_match(request))], decision)
    if problem is not None:
        raise problem
    return versioned_response(await read_subject(request.app, subject_id), status=201)


async def decide_many(request: web.Request) -> web.Response:
    """Answer POST /review-queue/decisions: what became of each, in order."""
    decision = await _read_request(request, BulkDecisionRequest)
    if bool(decision.cases) == bool(decision.subjects):
        raise invalid("cases", "names no case; or cases and subjects, of which a request has one kind")
    if decision.subjects:
        return await _decide_many_subjects(request, decision)
    ids = [target.case_id for target in decision.cases]
    if len(set(ids)) < len(ids):
        raise invalid("cases", "names a case more than once")
    problems = await _decide(request, [Target(target.case_id, target.version) for target in decision.cases], decision)
    cases = await read_view(request.app, case_reads.cases, ids)
    versions = {case_id: case["version"] for case_id, case in cases.items()}
    return json_response({"items": _lines("case_id", ids, problems, versions)})


async def _decide_many_subjects(request: web.Request, decision: BulkDecisionRequest) -> web.Response:
    ids = [target.subject_id for target in decision.subjects]
    if len(set(ids)) < len(ids):
        raise invalid("subjects", "names a subject more than once")
    problems = await _decide_subjects(request, decision.subjects, decision)
    cases = await read_view(request.app, subject_reads.case_versions, ids)
    versions = {subject_id: version for subject_id, (version, _) in cases.items()}
    return json_response({"items": _lines("subject_id", ids, problems, versions)})


def _lines(
    id_member: str, ids: Sequence[str], problems: Sequence[Problem | None], versions: Mapping[str, int]
) -> list[JsonObject]:
    """Say line by line what became of a decision."""
    lines: list[JsonObject] = []
    for line_id, problem in zip(ids, problems, strict=True):
        line: JsonObject = {id_member: line_id, "status": problem.status if problem else 201}
        if line_id in versions:
            line["version"] = versions[line_id]
        if problem:
            line |= {"type": problem.members["type"], "detail": problem.members["detail"]}
        lines.append(line)
    return lines


async def _decide_subjects(
    request: web.Request, targets: Sequence[SubjectTarget], decision: DecisionRequest
) -> list[Problem | None]:
    """Decide on the cases of subjects; None for each subject of which all decisions stand."""
    app = request.app
    ids = [target.subject_id for target in targets]
    stored = await read_view(app, subject_reads.case_versions, ids)
    totals = await read_view(app, subject_reads.totals, ids)
    cases = await read_view(app, case_reads.cases, [case_id for _, case_ids in stored.values() for case_id in case_ids])
    problems: dict[str, Problem | None] = {}
    chosen: dict[str, list[Target]] = {}
    for subject_id, version in ((target.subject_id, target.version) for target in targets):
        if subject_id not in stored:
            problems[subject_id] = Problem(404, "no-such-subject", "there is no subject with this id in the queue")
            continue
        own = [cases[case_id] for case_id in stored[subject_id][1] if case_id in cases]
        concerned = [case for case in own if _concerns(decision, case)]
        if version is not None and version != subject_version(own):
            problems[subject_id] = await _subject_conflict(app, subject_id)
        elif not concerned:
            problems[subject_id] = Problem(409, "not-possible", _why_none(decision, own), title="Not possible")
        else:
            # Whoever names the subject's version has seen its cases as they stand, and decides on no others.
            chosen[subject_id] = [
                Target(case["case_id"], None if version is None else case["version"], totals.get(subject_id))
                for case in concerned
            ]
    flat = [target for several in chosen.values() for target in several]
    outcome = dict(zip((target.case_id for target in flat), await _decide(request, flat, decision), strict=True))
    for subject_id, several in chosen.items():
        problem = next((problem for target in several if (problem := outcome[target.case_id])), None)
        problems[subject_id] = await _subject_conflict(app, subject_id) if isinstance(problem, Conflict) else problem
    return [problems[target.subject_id] for target in targets]


def _concerns(request: DecisionRequest, case: JsonObject) -> bool:
    """Say whether a decision on a subject is one on this case of it, as that stands."""
    match request.decision:
        case "note":
            return True
        case "reopen":
            return bool(case["status"] != "open")
        case "claim":
            return case["status"] in {"open", "snoozed"} or _is_of_another(request, case)
        case _:
            return case["status"] in {"open", "in_review", "snoozed"}


def _is_of_another(request: DecisionRequest, case: JsonObject) -> bool:
    return bool(case["status"] == "in_review" and case["reviewer"] != request.reviewer)


def _why_none(request: DecisionRequest, cases: Sequence[JsonObject]) -> str:
    if request.decision == "reopen":
        return "it is open"
    if request.decision == "claim" and any(case["reviewer"] == request.reviewer for case in cases):
        return "you have claimed it already"
    statuses = sorted({case["status"] for case in cases})
    return f"none of its cases is open: {', '.join(statuses)}; reopen it first"


async def _subject_conflict(app: web.Application, subject_id: str) -> Problem:
    subject = await read_subject(app, subject_id)
    decisions = [entry for entry in subject["history"] if entry["took_effect"]]
    recent = bool(decisions) and time.time() * 1000 - int(decisions[-1]["time"]) < RECENT_MS
    detail = _faster(decisions[-1]) if recent else f"it has changed: {subject['reason']}"
    return Conflict(f"{detail}; look at it as it is now", subject=subject)


async def _decide(request: web.Request, targets: Sequence[Target], decision: DecisionRequest) -> list[Problem | None]:
    """Write a decision for each case that allows it; None for those that stand then."""
    app = request.app
    problems: dict[str, Problem | None] = {}
    remaining = list(targets)
    for _ in range(MAX_TRIES):
        cases = await read_view(app, case_reads.cases, [target.case_id for target in remaining])
        decisions: dict[str, Decision] = {}
        for target in remaining:
            try:
                decisions[target.case_id] = await _decision(app, target, cases.get(target.case_id), decision)
            except Problem as problem:
                problems[target.case_id] = problem
        if not decisions:
            break
        await app[DECISION_LOG].write(list(decisions.values()), record_headers(request))
        written = {case_id: record.decision_id for case_id, record in decisions.items()}
        effective = await read_view(app, decision_reads.effective, written)
        for case_id in effective:
            problems[case_id] = None
            app[METRICS].count_decision(decision.decision)
        for case_id in decisions.keys() - effective:
            problems[case_id] = await _conflict(app, case_id, decisions[case_id].number)
        lost = decisions.keys() - effective
        remaining = [target for target in remaining if target.case_id in lost and target.version is None]
        if not remaining:
            break
    return [problems[target.case_id] for target in targets]


async def _decision(
    app: web.Application, target: Target, case: JsonObject | None, request: DecisionRequest
) -> Decision:
    """Make the record of a decision on the case as it stands; raises Problem, 404 or 409."""
    if case is None:
        raise no_such_case()
    if target.version is not None and target.version != case["version"]:
        raise await _conflict(app, target.case_id, target.version % NUMBERS + 1)
    proposal = case["proposal"] and msgspec.json.decode(case["proposal"], type=Decision)
    review = Review(case["status"], case["reviewer"], number=case["decisions"], proposal=proposal)
    try:
        permit(request, review)
    except NotPossible as error:
        case = present_case(app, case)
        raise Problem(409, "not-possible", str(error), title="Not possible", case=case) from None
    now = int(time.time() * 1000)
    four_eyes = app[SETTINGS].service.four_eyes
    cents = cents_of(case["total_amount"]) if target.total_cents is None else target.total_cents
    return Decision(
        decision_id=str(uuid.uuid4()),
        case_id=target.case_id,
        number=review.number + 1,
        decision=request.decision,
        reviewer=request.reviewer,
        time=now,
        note=request.note,
        outcome=request.outcome,
        assignee=request.assignee,
        # Who opens a snoozed case ends the snooze.
        until=now if review.status == "snoozed" and request.decision == "reopen" else request.until,
        max_total=request.max_total,
        max_payments=request.max_payments,
        proposal=is_proposal(request, review, cents, round(four_eyes * 100) if four_eyes else None),
        rule=case["rule"],
        group=Group(**case["group"]),
        payment_count=case["payment_count"],
        total_amount=case["total_amount"],
    )


async def _conflict(app: web.Application, case_id: str, number: int) -> Problem:
    """Make a 409 that says who was faster; `number` is the one that the decision would have had."""
    case = await read_case(app, case_id)
    faster = [entry for entry in case["history"] if entry["took_effect"] and int(entry["number"]) >= number]
    detail = _faster(faster[-1]) if faster else f"the case has changed: {case['reason']}"
    return Conflict(f"{detail}; look at the case as it is now", case=case)


def _faster(entry: JsonObject) -> str:
    reviewer, kind, at = (msgspec.json.decode(entry[name]) for name in ("reviewer", "decision", "time"))
    when = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
    return f"{reviewer} was faster: {kind} at {when}"


async def _read_request(request: web.Request, kind: type[T]) -> T:
    """Read what the body asks for; raises Problem."""
    decision = await read_body_as(request, kind)
    decision = msgspec.structs.replace(decision, reviewer=reviewer_of(request, decision.reviewer))
    try:
        check(decision, int(time.time() * 1000))
    except InvalidDecision as error:
        raise invalid(error.field, str(error)) from None
    return decision

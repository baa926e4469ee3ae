"""What reviewers do to cases: decisions on one, and on many at once."""

import re
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from schemas.payment import payment_error
from service.access.authentication import IDENTITY
from service.http.bodies import JSON, media_type, read_body
from service.http.problems import ErrorItem, Problem
from service.http.request_ids import record_headers
from service.http.responses import json_response
from service.metrics import METRICS
from service.queue import reads
from service.queue.decision_log import DECISION_LOG
from service.queue.decisions import Decision, InvalidWish, NotPossible, Review, Wish, check, permit
from service.queue.reads import NUMBERS, Item
from service.review.cases import case_answer, no_such_case, read_view, shown
from service.settings import SETTINGS

MOST_BODY_BYTES = 64 * 1024
MOST_CASES = 500
MOST_TRIES = 5
"""How often a decision that named no version is written again because another one came first."""
_ETAG = re.compile(r'(?:W/)?"?([0-9]{1,16})"?')

Target = tuple[str, int | None]
"""A case's id, and the version that the reviewer saw; None for whatever stands."""


class BulkTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of many cases."""

    case_id: str
    version: int | None = None


class BulkWish(Wish, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same decision for many cases."""

    cases: Annotated[tuple[BulkTarget, ...], Meta(min_length=1, max_length=MOST_CASES)]


async def decide(request: web.Request) -> web.Response:
    """POST /review-queue/{case_id}/decisions."""
    case_id = request.match_info["case_id"]
    wish = await _wish(request, Wish)
    [problem] = await _decide(request, [(case_id, _expected(request))], wish)
    if problem is not None:
        raise problem
    return case_answer(await shown(request.app, case_id), status=201)


async def decide_many(request: web.Request) -> web.Response:
    """POST /review-queue/decisions: what became of each, in order."""
    wish = await _wish(request, BulkWish)
    targets = [(each.case_id, each.version) for each in wish.cases]
    if len({case_id for case_id, _ in targets}) < len(targets):
        raise _invalid("cases", "names a case more than once")
    problems = await _decide(request, targets, wish)
    versions = await read_view(request.app, reads.versions, [case_id for case_id, _ in targets])
    answers = zip(targets, problems, strict=True)
    return json_response({"items": [_line(case_id, problem, versions) for (case_id, _), problem in answers]})


def _line(case_id: str, problem: Problem | None, versions: dict[str, int]) -> Item:
    line: Item = {"case_id": case_id, "status": problem.status if problem else 201}
    if case_id in versions:
        line["version"] = versions[case_id]
    if problem:
        line |= {"type": problem.members["type"], "detail": problem.members["detail"]}
    return line


async def _decide(request: web.Request, targets: Sequence[Target], wish: Wish) -> list[Problem | None]:
    """Write a decision for each case that allows it; None for those that stand then."""
    app = request.app
    answers: dict[str, Problem | None] = {}
    left = list(targets)
    for _ in range(MOST_TRIES):
        decisions = {}
        for case_id, expected in left:
            try:
                decisions[case_id] = await _decision(app, case_id, expected, wish)
            except Problem as problem:
                answers[case_id] = problem
        await app[DECISION_LOG].write(list(decisions.values()), record_headers(request))
        lost = []
        for case_id, decision in decisions.items():
            if await read_view(app, reads.took_effect, case_id, decision.decision_id):
                answers[case_id] = None
                app[METRICS].decided(wish.decision)
            else:
                lost.append(case_id)
                answers[case_id] = await _conflict(app, case_id, decision.number)
        left = [(case_id, expected) for case_id, expected in left if case_id in lost and expected is None]
        if not left:
            break
    return [answers[case_id] for case_id, _ in targets]


async def _decision(app: web.Application, case_id: str, expected: int | None, wish: Wish) -> Decision:
    """The record of a decision on the case as it stands; raises Problem, 404 or 409."""
    case = await read_view(app, reads.case, case_id)
    if case is None:
        raise no_such_case()
    if expected is not None and expected != case["version"]:
        raise await _conflict(app, case_id, expected % NUMBERS + 1)
    review = Review(case["status"], case["reviewer"], number=case["decisions"])
    try:
        permit(wish, review)
    except NotPossible as error:
        raise Problem(409, "not-possible", str(error), title="Not possible", case=case) from None
    now = int(time.time() * 1000)
    figures = {name: msgspec.json.decode(case[name]) for name in ("rule", "group", "payment_count", "total_amount")}
    return Decision(
        decision_id=str(uuid.uuid4()),
        case_id=case_id,
        number=review.number + 1,
        decision=wish.decision,
        reviewer=wish.reviewer,
        time=now,
        note=wish.note,
        outcome=wish.outcome,
        assignee=wish.assignee,
        # Who opens a snoozed case ends the snooze.
        until=now if review.status == "snoozed" and wish.decision == "reopen" else wish.until,
        **figures,
    )


async def _conflict(app: web.Application, case_id: str, number: int) -> Problem:
    """409 that says who was faster; `number` is the one that the decision would have had."""
    case = await shown(app, case_id)
    faster = [each for each in case["history"] if each["took_effect"] and int(each["number"]) >= number]
    if faster:
        who, what, at = (msgspec.json.decode(faster[-1][name]) for name in ("reviewer", "decision", "time"))
        when = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
        detail = f"{who} was faster: {what} at {when}"
    else:
        detail = f"the case has changed: {case['reason']}"
    return Problem(409, "conflict", f"{detail}; look at the case as it is now", title="Conflict", case=case)


async def _wish(request: web.Request, kind: type[Any]) -> Any:
    """What the body asks for; raises Problem."""
    if media_type(request.headers.get("Content-Type", ""))[0] != JSON:
        raise Problem(415, "unsupported-media-type", f"a decision is {JSON}", headers={"Accept": JSON})
    body = await read_body(request, MOST_BODY_BYTES, request.app[SETTINGS].service.body_timeout)
    try:
        wish = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        told = payment_error(error)
        raise _invalid(told.field, told.reason) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, "malformed-decision", str(error), title="Malformed decision") from None
    identity = request.get(IDENTITY)
    if identity is not None:
        if wish.reviewer not in {"", identity.name}:
            raise _invalid("reviewer", f"is the token's, {identity.name}: leave it out")
        wish = msgspec.structs.replace(wish, reviewer=identity.name)
    try:
        check(wish, int(time.time() * 1000))
    except InvalidWish as error:
        raise _invalid(error.field, str(error)) from None
    return wish


def _invalid(field: str | None, detail: str) -> Problem:
    errors = [ErrorItem(detail, pointer=f"#/{field}")] if field else None
    text = f"{field}: {detail}" if field else detail
    return Problem(422, "invalid-decision", text, title="Invalid decision", field=field, errors=errors)


def _expected(request: web.Request) -> int | None:
    """The version in If-Match (RFC 9110, section 13.1.1), None without one."""
    text = request.headers.get("If-Match", "*").strip()
    if text == "*":
        return None
    version = _ETAG.fullmatch(text)
    if version is None:
        raise Problem(400, "malformed-request", 'If-Match is not a case\'s version, such as "170002", nor *')
    return int(version[1])

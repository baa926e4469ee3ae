"""Handlers of exemptions: list them, make one, end one."""

import time
import uuid

import msgspec
import structlog
from aiohttp import web

from service.http.problems import Problem
from service.http.request_ids import record_headers
from service.http.responses import json_response
from service.queue import decision_reads
from service.queue.decision_log import DECISION_LOG
from service.queue.decisions import InvalidDecision
from service.queue.exemptions import EndRequest, Exemption, ExemptionRequest, check_exemption
from service.review.reading import read_view
from service.review.request_bodies import invalid, read_body_as, reviewer_of

log = structlog.get_logger(__name__)


async def list_exemptions(request: web.Request) -> web.Response:
    """Answer GET /review-queue/exemptions."""
    return json_response({"items": await read_view(request.app, decision_reads.exemptions)})


async def make_exemption(request: web.Request) -> web.Response:
    """Answer POST /review-queue/exemptions."""
    body = await read_body_as(request, ExemptionRequest)
    body = msgspec.structs.replace(body, reviewer=reviewer_of(request, body.reviewer))
    now = int(time.time() * 1000)
    try:
        check_exemption(body, now)
    except InvalidDecision as error:
        raise invalid(error.field, str(error)) from None
    exemption = Exemption(
        exemption_id=str(uuid.uuid4()),
        group=body.group,
        rules=body.rules,
        reason=body.reason,
        reviewer=body.reviewer,
        time=now,
        until=body.until,
        max_total=body.max_total,
    )
    return await _write(request, exemption, 201)


async def end_exemption(request: web.Request) -> web.Response:
    """Answer POST /review-queue/exemptions/{exemption_id}/end."""
    body = await read_body_as(request, EndRequest)
    reviewer = reviewer_of(request, body.reviewer)
    if not reviewer.strip():
        raise invalid("reviewer", "says nobody's name")
    exemption = await read_view(request.app, decision_reads.exemption, request.match_info["exemption_id"])
    if exemption is None:
        raise Problem(404, "no-such-exemption", "there is no exemption with this id, or it was ended")
    now = max(int(time.time() * 1000), exemption.time)
    ended = msgspec.structs.replace(exemption, ended=True, reviewer=reviewer, note=body.note, time=now)
    return await _write(request, ended, 200)


async def _write(request: web.Request, exemption: Exemption, status: int) -> web.Response:
    await request.app[DECISION_LOG].write([exemption], record_headers(request))
    log.info(
        "exemption ended" if exemption.ended else "exemption made",
        exemption_id=exemption.exemption_id,
        reviewer=exemption.reviewer,
    )
    response = json_response(exemption)
    response.set_status(status)
    return response

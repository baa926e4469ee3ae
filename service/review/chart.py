"""Handlers of drawings: payments in time against the $10,000 line, of a case and of a subject."""

import asyncio
from collections.abc import Iterable

from aiohttp import web

from service.http.security_headers import DRAWING, POLICY
from service.queue import case_reads
from service.queue.items import JsonObject
from service.review.cases import no_such_case, read_subject
from service.review.drawing import draw
from service.review.reading import read_view


async def show_case_chart(request: web.Request) -> web.Response:
    """Answer GET /review-queue/{case_id}/chart.svg; a case has it as long as it lists payments with their times."""
    return await _chart(await read_view(request.app, case_reads.payments, request.match_info["case_id"]))


async def show_subject_chart(request: web.Request) -> web.Response:
    """Answer GET /review-queue/subjects/{subject_id}/chart.svg."""
    subject = await read_subject(request.app, request.match_info["subject_id"])
    return await _chart(subject["payments"])


async def _chart(payments: Iterable[JsonObject]) -> web.Response:
    points = [(payment["timestamp"], payment["payment_amount"]) for payment in payments if "timestamp" in payment]
    if not points:
        raise no_such_case()
    svg = await asyncio.to_thread(draw, points)
    return web.Response(text=svg, content_type="image/svg+xml", headers={POLICY: DRAWING})

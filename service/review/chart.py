"""A case's payments in time against the $10,000 line: GET /review-queue/{case_id}/chart.svg."""

import asyncio

import msgspec
from aiohttp import web

from service.http.security_headers import DRAWING, POLICY
from service.queue import reads
from service.review.cases import no_such_case, read_view
from service.review.drawing import draw


async def show_chart(request: web.Request) -> web.Response:
    """The drawing; a case has it as long as it lists payments with their times."""
    case = await read_view(request.app, reads.case, request.match_info["case_id"])
    payments = msgspec.json.decode(case["payments"]) if case else []
    listed = [(each["timestamp"], each["payment_amount"]) for each in payments if "timestamp" in each]
    if not listed:
        raise no_such_case()
    body = await asyncio.to_thread(draw, listed)
    return web.Response(text=body, content_type="image/svg+xml", headers={POLICY: DRAWING})

"""What surrounds every view: its errors become problems, its time is measured.

One middleware for both, since each costs every request.
"""

import time

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from service import problems
from service.bodies import JSON
from service.metrics import Metrics


def json_answer(body: object) -> web.Response:
    """200 with JSON that nobody may keep."""
    return web.Response(body=msgspec.json.encode(body), headers={"Content-Type": JSON, "Cache-Control": "no-store"})


def answers(metrics: Metrics) -> Middleware:
    """The middleware."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        try:
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 - this is the place where every error gets its answer
            response = problems.response(problems.from_exception(error))
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        metrics.request_answered(request.method, route, response.status, time.perf_counter() - started)
        return response

    return answer

"""What surrounds every view: who may see it is checked, its errors become problems, its time is measured.

One middleware for all, since each costs every request.
"""

import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from service import problems
from service.bodies import JSON
from service.metrics import Metrics
from service.request_ids import identify


def json_answer(body: object) -> web.Response:
    """200 with JSON."""
    return web.Response(body=msgspec.json.encode(body), headers={"Content-Type": JSON})


Guard = Callable[[web.Request], Awaitable[None]]


def answers(metrics: Metrics, guard: Guard) -> Middleware:
    """The middleware; `guard` raises Problem for a request that may not pass."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        try:
            identify(request)
            await guard(request)
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 - this is the place where every error gets its answer
            response = problems.response(problems.from_exception(error))
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        metrics.request_answered(request.method, route, response.status, time.perf_counter() - started)
        return response

    return answer

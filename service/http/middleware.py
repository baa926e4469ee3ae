"""What surrounds every view: who may see it is checked, its errors become problems, its time is measured.

One middleware for all, since each costs every request.
"""

import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from service.http import problems
from service.http.bodies import JSON
from service.http.request_ids import identify
from service.metrics import Metrics

CLIENT_GONE = 499
"""What nginx logs of a request whose client did not wait for its answer; nobody receives it."""


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
            response = problems.response(_problem_of(request, error))
            if request.writer.output_size and request.transport is not None:
                # An answer has begun: a second one would be read as a part of it. That its end is missing says enough.
                request.transport.close()
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        metrics.request_answered(request.method, route, response.status, time.perf_counter() - started)
        return response

    return answer


def _problem_of(request: web.Request, error: Exception) -> problems.Problem:
    """What an error is to the client; one that has gone is nobody's fault, and reads no answer."""
    if isinstance(error, ConnectionError) and request.transport is None:
        return problems.Problem(CLIENT_GONE, "client-gone", "the client closed the connection", title="Client gone")
    return problems.from_exception(error)

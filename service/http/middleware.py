"""The middleware around every handler: checks access, turns errors into problems, measures the time.

A single one, since each costs every request.
"""

import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from service.http.problems import Problem, from_exception
from service.http.request_ids import identify
from service.http.responses import problem_response
from service.metrics import Metrics

CLIENT_GONE = 499
"""Status, as nginx logs it, of a request whose client did not wait for the response; nobody receives it."""

Guard = Callable[[web.Request], Awaitable[None]]


def make_middleware(metrics: Metrics, guard: Guard) -> Middleware:
    """Make the middleware; `guard` raises Problem for a request that may not pass."""

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        started_at = time.perf_counter()
        try:
            identify(request)
            await guard(request)
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 - this is the place where every error gets its response
            response = problem_response(_problem(request, error))
            if request.writer.output_size and request.transport is not None:
                # A response has begun: a second would be read as a part of it. That its end is missing says enough.
                request.transport.close()
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        metrics.count_request(request.method, route, response.status, time.perf_counter() - started_at)
        return response

    return handle


def _problem(request: web.Request, error: Exception) -> Problem:
    """Classify an error; a client that has gone is nobody's fault, and reads no response."""
    if isinstance(error, ConnectionError) and request.transport is None:
        return Problem(CLIENT_GONE, "client-gone", "the client closed the connection", title="Client gone")
    return from_exception(error)

"""Routes that are found without aiohttp's router: for addresses that are one path, asked for many times a second.

aiohttp (3.14) resolves each request anew, and builds what belongs to its route. Its server takes any handler of
requests, the way below the router that it documents ("Low Level Server"); of its request, `_match_info` alone is
set here as its application would.
"""

import functools
from collections.abc import Awaitable, Callable, Container

from aiohttp import hdrs, web

from service.http.problems import from_exception
from service.http.responses import problem_response

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


def match_infos(app: web.Application, paths: Container[str]) -> dict[str, web.UrlMappingMatchInfo]:
    """Find what the router would for POSTs to these paths, by path."""
    resolved = {}
    for route in app.router.routes():
        if route.method == hdrs.METH_POST and route.resource is not None and route.resource.canonical in paths:
            match_info = web.UrlMappingMatchInfo({}, route)
            match_info.add_app(app)
            match_info.freeze()
            resolved[route.resource.canonical] = match_info
    return resolved


def direct(app: web.Application, paths: Container[str], handle: Handle) -> Handle:
    """Handle POSTs to these paths directly, and every other request by `handle`, the application's own."""
    routes = {
        path: (match_info, functools.reduce(_wrap, reversed(app.middlewares), match_info.handler))
        for path, match_info in match_infos(app, paths).items()
    }

    async def handle_request(request: web.Request) -> web.StreamResponse:
        route = routes.get(request.raw_path) if request.method == hdrs.METH_POST else None
        if route is None or hdrs.EXPECT in request.headers:
            try:
                return await handle(request)
            except web.HTTPException as error:  # an expectation, which aiohttp looks at before any middleware
                return problem_response(from_exception(error))
        request._match_info, handler = route  # noqa: SLF001 - see above
        return await handler(request)

    return handle_request


def _wrap(handler: Handle, middleware: Callable[..., Awaitable[web.StreamResponse]]) -> Handle:
    return functools.partial(middleware, handler=handler)

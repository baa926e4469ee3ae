"""The reviewer's page: files that come with the package; what they show, they ask of the service's own addresses."""

import functools
from importlib import resources

from aiohttp import web

from service.http.problems import Problem
from service.http.security_headers import PAGE, POLICY

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
HEADERS = {POLICY: PAGE, "Cache-Control": "no-cache"}


async def queue(request: web.Request) -> web.Response:
    """GET /."""
    return answer("index.html")


async def comparison(request: web.Request) -> web.Response:
    """GET /comparison.html."""
    return answer("comparison.html")


async def asset(request: web.Request) -> web.Response:
    """GET /web/{file}."""
    name = request.match_info["file"]
    if name not in files():
        raise Problem(404, "not-found", "there is no such file")
    return answer(name)


@functools.cache
def files() -> dict[str, bytes]:
    """What the page is made of, by name."""
    folder = resources.files("service").joinpath("web")
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.name.endswith(tuple(TYPES))}


def answer(name: str) -> web.Response:
    """A file."""
    kind = TYPES[name[name.rindex(".") :]]
    return web.Response(body=files()[name], content_type=kind, charset="utf-8", headers=HEADERS)

"""The reviewer's pages: files that come with the package, and ask the service's own addresses for all data."""

import functools
from importlib import resources

from aiohttp import web

from service.http.problems import Problem
from service.http.security_headers import PAGE, POLICY

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
HEADERS = {POLICY: PAGE, "Cache-Control": "no-cache"}


async def show_queue(request: web.Request) -> web.Response:
    """Handle GET /."""
    return page_response("index.html")


async def show_comparison(request: web.Request) -> web.Response:
    """Handle GET /comparison.html."""
    return page_response("comparison.html")


async def serve_asset(request: web.Request) -> web.Response:
    """Handle GET /web/{file}."""
    name = request.match_info["file"]
    if name not in page_files():
        raise Problem(404, "not-found", "there is no such file")
    return page_response(name)


@functools.cache
def page_files() -> dict[str, bytes]:
    """Read the pages' files, by name."""
    folder = resources.files("service").joinpath("web")
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.endswith(tuple(TYPES))}


def page_response(name: str) -> web.Response:
    """Make the response that holds a file of the pages."""
    media_type = TYPES[name[name.rindex(".") :]]
    return web.Response(body=page_files()[name], content_type=media_type, charset="utf-8", headers=HEADERS)

"""Headers of every response that tell a browser what it may do with it, and the policies of pages.

Sources: Content Security Policy level 3; Fetch (nosniff, Cross-Origin-Resource-Policy); HTML
(Cross-Origin-Opener-Policy); RFC 6797 (Strict-Transport-Security).
"""

from aiohttp import hdrs, web
from multidict import istr

from service.http.forwarded import by_https

POLICY = "Content-Security-Policy"
DATA = "default-src 'none'; frame-ancestors 'none'"
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing but our own files, and no script or style in the page itself."""
DOCS = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI has images in its style sheet, and sets markup, so that it knows no trusted types."""
DRAWING = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""The policy of an SVG: no script, and nothing fetched, also where it is opened by itself."""

DEFAULTS = tuple(
    (istr(name), value)  # a name that is one already costs a tenth of one that has to be made one
    for name, value in {
        "Cache-Control": "no-store",
        POLICY: DATA,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }.items()
)
SERVER = "Underten"
"""aiohttp's own names versions."""
TRANSPORT_NAME, TRANSPORT = istr("Strict-Transport-Security"), "max-age=31536000"


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Give a response the headers that its handler has not set; for `on_response_prepare`."""
    headers = response.headers
    for name, value in DEFAULTS:
        if name not in headers:
            headers[name] = value
    headers[hdrs.SERVER] = SERVER
    if by_https(request):
        headers[TRANSPORT_NAME] = TRANSPORT

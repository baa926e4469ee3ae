"""Signing in at a browser: the token becomes a cookie that no script can read and no other site can send."""

import msgspec
from aiohttp import web

from schemas.errors import DECODE_ERRORS
from service.access.authentication import ACCESS, COOKIE, IDENTITY, BadToken, unauthorized
from service.http import pages
from service.http.bodies import read_body
from service.http.forwarded import by_https
from service.http.problems import Problem
from service.http.responses import json_response
from service.settings import SETTINGS

MAX_BODY_BYTES = 16 * 1024
MAX_COOKIE_BYTES = 4000
"""Browsers keep 4,096 bytes with the name (RFC 6265, section 6.1); a JWT may be longer than that."""


class SignIn(msgspec.Struct):
    """The body of POST /login."""

    token: str


async def show_login(request: web.Request) -> web.Response:
    """Handle GET /login."""
    return pages.page_response("login.html")


async def sign_in(request: web.Request) -> web.Response:
    """Handle POST /login: 204 with the cookie; 401 for an unknown token, 422 for one that no cookie can hold."""
    access = request.app.get(ACCESS)
    if access is None:
        raise Problem(404, "open", "this service asks nobody to sign in")
    body = await read_body(request, MAX_BODY_BYTES, request.app[SETTINGS].service.body_timeout)
    try:
        token = msgspec.json.decode(body, type=SignIn).token
    except DECODE_ERRORS:
        raise Problem(400, "malformed-request", 'the body is {"token": "..."}') from None
    try:
        await access.identify(token)
    except BadToken as error:
        raise unauthorized(str(error)) from None
    if len(token) > MAX_COOKIE_BYTES:
        raise Problem(422, "token-too-long", f"a browser's cookie holds {MAX_COOKIE_BYTES} bytes, this token is longer")
    response = web.Response(status=204)
    response.set_cookie(COOKIE, token, httponly=True, samesite="Strict", secure=by_https(request), path="/")
    return response


async def sign_out(request: web.Request) -> web.Response:
    """Handle POST /logout."""
    response = web.Response(status=204)
    response.del_cookie(COOKIE, path="/")
    return response


async def show_session(request: web.Request) -> web.Response:
    """Handle GET /session: the sender's name and scopes, null and empty without access control, and `samples`."""
    identity = request.get(IDENTITY)
    return json_response(
        {
            "name": identity and identity.name,
            "scopes": sorted(identity.scopes) if identity else [],
            "samples": request.app[SETTINGS].service.samples,
        }
    )

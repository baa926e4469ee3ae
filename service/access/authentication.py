"""Bearer tokens (RFC 6750) with scopes, opaque ones or JWTs, in a header or in a browser's cookie.

No script can read the cookie, and a change that a browser sends with it is taken only from our own pages.
"""

from typing import Annotated, Literal, Protocol, get_args

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta
from multidict import istr
from yarl import URL

from service.http.problems import Problem

Scope = Literal["payments:write", "reviews:read", "reviews:write", "metrics:read"]
SCOPES: tuple[str, ...] = get_args(Scope)

COOKIE = "underten_session"
FETCH_SITE = istr("Sec-Fetch-Site")
OWN_SITES = frozenset({"same-origin", "none"})
NAME = r"\A(?=.*\S)[^\x00-\x1f\x7f\ud800-\udfff]+\Z"
"""Not blank, and nothing in it that would break a line or cannot be written."""
NEEDED = "a token is needed: Authorization: Bearer ..., or sign in at /login"


class Identity(msgspec.Struct, frozen=True):
    """The holder of a token, and the scopes that it has."""

    name: Annotated[str, Meta(max_length=100, pattern=NAME)]
    scopes: frozenset[Scope]


class BadToken(Exception):
    """A token that lets nobody in; the text says why, and repeats nothing of the token."""


class Verifier(Protocol):
    """A kind of tokens."""

    async def identify(self, token: str) -> Identity:
        """Return the holder of a token; raises BadToken, or Problem, 503, where that cannot be known now."""

    def recall(self, token: str) -> Identity | None:
        """Return the holder of a good token where that can be told without waiting."""


class Access:
    """The kinds of tokens that are taken here."""

    def __init__(self, opaque: Verifier | None, jwts: Verifier | None) -> None:
        self._opaque = opaque
        self._jwts = jwts

    async def identify(self, token: str) -> Identity:
        """Return the holder of a token; raises BadToken, or Problem, 503, where that cannot be known now."""
        verifier = self._verifier(token)
        if verifier is None:
            raise BadToken("this is no token of a kind that is taken here")
        return await verifier.identify(token)

    def recall(self, token: str) -> Identity | None:
        """Return the holder of a good token where that can be told without waiting."""
        verifier = self._verifier(token)
        return verifier.recall(token) if verifier is not None else None

    def _verifier(self, token: str) -> Verifier | None:
        if not token.isascii():
            return None
        return self._jwts if self._jwts is not None and token.count(".") == 2 else self._opaque


ACCESS = web.AppKey("access", Access)


async def authenticate(access: Access, request: web.Request, *, changes: bool) -> Identity:
    """Return the sender of a request.

    `changes`: whether the request may change anything. Raises Problem: 401; 403 for a change by cookie from another
    site's page; 503.
    """
    token, by_header = _token(request)
    if not (token or by_header):
        raise unauthorized(NEEDED)
    try:
        identity = await access.identify(token)
    except BadToken as error:
        raise unauthorized(f"{error}; {NEEDED}", ', error="invalid_token"') from None
    if changes and not by_header and not _from_our_page(request):
        raise Problem(403, "cross-site", "with a cookie, this is taken only from this service's own pages")
    return identity


def recall(access: Access, request: web.Request, *, changes: bool) -> Identity | None:
    """Return the sender of a request where that can be told without waiting; of any other, `authenticate` says it."""
    token, by_header = _token(request)
    if not token or (changes and not by_header and not _from_our_page(request)):
        return None
    return access.recall(token)


def _token(request: web.Request) -> tuple[str, bool]:
    """Read a request's token, or "", and tell whether it came in the header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    by_header = scheme.lower() == "bearer"
    return token.strip() if by_header else request.cookies.get(COOKIE, ""), by_header


def permit(identity: Identity, scope: str) -> None:
    """Raises Problem, 403, for somebody without a scope."""
    if scope not in identity.scopes:
        challenge = f'Bearer realm="underten", error="insufficient_scope", scope="{scope}"'
        detail = f"this token lacks the scope {scope}"
        raise Problem(403, "insufficient-scope", detail, headers={"WWW-Authenticate": challenge})


def unauthorized(detail: str, error: str = "") -> Problem:
    """Make a 401 with its challenge (RFC 6750, section 3)."""
    headers = {"WWW-Authenticate": f'Bearer realm="underten"{error}'}
    return Problem(401, "unauthorized", detail, headers=headers)


def from_another_site(request: web.Request) -> bool:
    """Tell whether another site's page sent a request, as browsers say (Fetch Metadata, or else Origin)."""
    site = request.headers.get(FETCH_SITE)
    if site is not None:
        return site not in OWN_SITES
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is not None and not _is_same_place(origin, request.host)


def _is_same_place(origin: str, host: str) -> bool:
    """Tell whether a page's origin is what `Host` says; a proxy may name there the port that goes without saying."""
    try:
        page = URL(origin)
        here = URL.build(scheme=page.scheme, authority=host)
    except ValueError:
        return False
    return page.host is not None and (page.host, page.port) == (here.host, here.port)


def _from_our_page(request: web.Request) -> bool:
    """Tell whether a page of ours sent a request, as browsers say; no page can make a browser say anything else."""
    from_browser = FETCH_SITE in request.headers or hdrs.ORIGIN in request.headers
    return from_browser and not from_another_site(request)


IDENTITY = web.RequestKey("identity", Identity)
"""The sender of a request, where access is controlled."""

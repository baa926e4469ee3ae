"""The way by which a client reaches the service, where a proxy stands before it: RFC 7239, and the X- headers.

Of several proxies each adds itself at the end, so the first hop is the client's own. Whoever sends these headers is
taken at its word where TRUST_FORWARDED says so: they make cookies Secure and have browsers stay with HTTPS, which those
do only if it was HTTPS (RFC 6797, section 8.1). Nobody gains anything by a lie.
"""

import re
from collections.abc import Iterable

from aiohttp import hdrs, web
from multidict import istr

from service.settings import SETTINGS

SCHEMES = (
    hdrs.X_FORWARDED_PROTO,
    *map(
        istr, ("X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Scheme", "X-Url-Scheme", "CloudFront-Forwarded-Proto")
    ),
)
SWITCHES = (istr("X-Forwarded-Ssl"), istr("Front-End-Https"))
"""Headers whose value is "on" where the client speaks HTTPS."""
NAMES = (hdrs.FORWARDED, *SCHEMES, *SWITCHES)
SECURE = frozenset({"https", "ssl"})

_first_element = re.compile(r'[\s,]*((?:"(?:\\.|[^"\\])*"|[^",])*)').match
_pairs = re.compile(r'(?:^|;)\s*([^\s=;"]+)\s*=\s*("(?:\\.|[^"\\])*"|[^;]*)').findall


def by_https(request: web.Request) -> bool:
    """Tell whether a client speaks HTTPS, here or with the first proxy on its way."""
    return request.secure or (_first_hop_is_https(request) and _is_trusted(request))


def _is_trusted(request: web.Request) -> bool:
    return SETTINGS not in request.app or request.app[SETTINGS].access.trust_forwarded


def _first_hop_is_https(request: web.Request) -> bool:
    """Read the first of these headers that there is: the standard's, then the common ones."""
    headers = request.headers
    if not any(map(headers.__contains__, NAMES)):  # no proxy: said at a sixth of the time, for each response
        return False
    scheme = _forwarded_scheme(headers.getall(hdrs.FORWARDED, ()))
    for name in SCHEMES:
        scheme = scheme or _first(headers.getall(name, ()))
    if scheme:
        return scheme in SECURE
    return any(_first(headers.getall(name, ())) == "on" for name in SWITCHES)


def _forwarded_scheme(lines: Iterable[str]) -> str:
    """The scheme of the first hop of RFC 7239's header, in small letters, or nothing.

    Read by itself, whatever stands beside it: proxies write addresses with colons without the quotes that they need.
    """
    return next((_bare(value) for name, value in _pairs(_first_of(lines)) if name.lower() == "proto"), "")


def _first(lines: Iterable[str]) -> str:
    """The first of values that are separated by commas, in small letters, or nothing."""
    return _bare(_first_of(lines))


def _first_of(lines: Iterable[str]) -> str:
    """The first element of a list, on as many lines as it may have; empty ones do not count (RFC 9110, 5.6.1)."""
    element = _first_element(",".join(lines))
    return element.group(1) if element else ""


def _bare(value: str) -> str:
    return value.strip().strip('"').lower()

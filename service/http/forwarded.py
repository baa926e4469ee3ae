"""The way by which a client reaches the service, where a proxy stands before it: RFC 7239, and the X- headers.

Of several proxies each adds itself at the end, so the first hop is the client's own. Whoever sends these headers is
taken at its word where TRUST_FORWARDED says so: they make cookies Secure and have browsers stay with HTTPS, which those
do only if it was HTTPS (RFC 6797, section 8.1). Nobody gains anything by a lie.
"""

from aiohttp import hdrs, web
from multidict import istr

from service.settings import SETTINGS

SCHEMES = (hdrs.X_FORWARDED_PROTO, istr("X-Forwarded-Scheme"), istr("X-Scheme"), istr("X-Url-Scheme"))
SWITCHES = (istr("X-Forwarded-Ssl"), istr("Front-End-Https"))
"""Headers whose value is "on" where the client speaks HTTPS."""


def by_https(request: web.Request) -> bool:
    """Tell whether a client speaks HTTPS, here or with the first proxy on its way."""
    return request.secure or (_is_trusted(request) and _first_hop_is_https(request))


def _is_trusted(request: web.Request) -> bool:
    return SETTINGS not in request.app or request.app[SETTINGS].access.trust_forwarded


def _first_hop_is_https(request: web.Request) -> bool:
    """Read the first of these headers that there is: the standard's, then the common ones."""
    headers = request.headers
    if hdrs.FORWARDED in headers:
        hops = request.forwarded
        scheme = hops[0].get("proto") if hops else None
        if scheme is not None:
            return scheme.lower() == "https"
    for name in SCHEMES:
        if name in headers:
            return _first(headers[name]) == "https"
    return any(_first(headers[name]) == "on" for name in SWITCHES if name in headers)


def _first(value: str) -> str:
    """The first of values that are separated by commas, in small letters."""
    return value.partition(",")[0].strip().lower()

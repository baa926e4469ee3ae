"""The guard before every handler: a request passes, or is answered 401, 403 or 421."""

import functools
from collections.abc import Iterable, Mapping

from aiohttp import web
from yarl import URL

from service.access.authentication import (
    ACCESS,
    IDENTITY,
    Access,
    Identity,
    Scope,
    authenticate,
    from_another_site,
    permit,
)
from service.access.settings import is_loopback
from service.http.middleware import Guard
from service.http.problems import Problem
from service.settings import SETTINGS

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def make_guard(routes: Mapping[Scope | None, Iterable[web.RouteDef]]) -> Guard:
    """Make a guard from the routes of each scope."""
    scopes = {(route.method, route.path): scope for scope, definitions in routes.items() for route in definitions}

    async def check(request: web.Request) -> None:
        access = request.app.get(ACCESS)
        resource = request.match_info.route.resource
        scope = None
        if resource is not None:  # else there is nothing at this address
            scope = scopes["GET" if request.method == "HEAD" else request.method, resource.canonical]
        if access is not None and scope is not None:
            request[IDENTITY] = await admit(access, request, scope)
            return
        if _changes(request, scope) and from_another_site(request):
            raise Problem(403, "cross-site", "this is not taken from another site's page")
        if access is None:
            _check_host(request)

    return check


async def admit(access: Access, request: web.Request, scope: Scope) -> Identity:
    """Return the sender of a request that takes this scope; raises Problem for any other sender."""
    identity = await authenticate(access, request, changes=_changes(request, scope))
    permit(identity, scope)
    return identity


async def is_permitted(request: web.Request, scope: Scope) -> bool:
    """Tell whether the sender of a request has this scope, or still has it."""
    access = request.app.get(ACCESS)
    if access is None:
        return True
    try:
        await admit(access, request, scope)
    except Problem:
        return False
    return True


def _changes(request: web.Request, scope: Scope | None) -> bool:
    """Tell whether a request may change anything, as a GET that makes a sample payment does."""
    return request.method not in SAFE or (scope is not None and scope.endswith(":write"))


def _check_host(request: web.Request) -> None:
    """Refuse a name that leads here from outside (DNS rebinding), where no tokens are asked for; raises Problem."""
    if not (request.app[SETTINGS].access.open_access or _names_this_machine(request.headers.get("Host", ""))):
        detail = "without tokens, this service answers only to localhost and loopback addresses; see OPEN_ACCESS"
        raise Problem(421, "wrong-host", detail)


@functools.lru_cache(maxsize=256)
def _names_this_machine(host: str) -> bool:
    try:
        return is_loopback(URL.build(scheme="http", authority=host).host or "")
    except ValueError:
        return False

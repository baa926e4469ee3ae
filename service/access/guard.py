"""The guard before every handler: a request passes, or is answered 401, 403 or 421."""

import functools
from collections.abc import Iterable, Mapping

from aiohttp import hdrs, web
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
    recall,
)
from service.access_settings import AccessSettings, is_address, is_loopback
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
            _check_names(request, request.app[SETTINGS].access)

    return check


def passes_at_once(request: web.Request, scope: Scope) -> bool:
    """Tell whether a request that takes this scope passes a guard, where that can be told without waiting.

    False, or a Problem, is for the guard to say.
    """
    app = request.app
    access = app.get(ACCESS)
    if access is None:
        _check_names(request, app[SETTINGS].access)
        return not from_another_site(request)
    identity = recall(access, request, changes=_changes(request, scope))
    if identity is None or scope not in identity.scopes:
        return False
    request[IDENTITY] = identity
    return True


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


def _check_names(request: web.Request, access: AccessSettings) -> None:
    """Refuse a name that leads here from outside (DNS rebinding), where no tokens are asked for; raises Problem.

    A browser sends `Origin` with what may change anything, also through a proxy that puts another name into `Host`.
    """
    if not _is_served(request.headers.get(hdrs.HOST, ""), access.allowed_hosts, access.open_access):
        detail = "without tokens, this service answers to localhost, addresses and allowed names; see ALLOWED_HOSTS"
        raise Problem(421, "wrong-host", detail)
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and not _is_served(origin.partition("://")[2], access.allowed_hosts, access.open_access):
        raise Problem(403, "cross-site", "this is not taken from a page of that name; see ALLOWED_HOSTS")


@functools.lru_cache(maxsize=256)
def _is_served(authority: str, allowed_hosts: tuple[str, ...], open_access: bool) -> bool:  # noqa: FBT001 - for the cache
    """Tell whether a service without tokens is called so.

    Any address will do where others may come: nobody but its owner can serve a page from it.
    """
    try:
        url = URL.build(scheme="http", authority=authority)
    except ValueError:
        return False
    if url.user is not None:
        return False
    host = (url.host or "").lower().removesuffix(".")  # a name with its last dot is the same name
    names = {name.lower() for name in allowed_hosts}
    return is_loopback(host) or host in names or (open_access and is_address(host))

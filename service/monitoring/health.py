"""Liveness, and readiness to work: with Kafka and the registry asked, not remembered.

Anybody may ask. Reasons name brokers, addresses and Kafka's user: they are for who may see the figures.
"""

import asyncio

import msgspec
from aiohttp import web

from schemas.errors import UndertenError
from service.access.guard import is_permitted
from service.access.jwk_set import JWT_KEYS
from service.http.problems import Problem
from service.http.responses import json_response
from service.idempotency.deduplicator import DEDUPLICATOR
from service.idempotency.recovery import RECOVERY
from service.payments.codecs import CODECS
from service.producer.connection import CONNECTION
from service.queue.consumer import QUEUE_READER

PING_SECONDS = 2.0
REASON_WITHHELD = "the log says why, and this address to a token with the scope metrics:read"


class Check(msgspec.Struct, omit_defaults=True):
    """A thing that the service depends on. Not `required`: payments and the queue go on without it."""

    ok: bool
    required: bool
    reason: str | None = None


async def live(request: web.Request) -> web.Response:
    """Handle GET /health/live: 200 as long as the event loop turns."""
    return json_response({"status": "live"})


async def ready(request: web.Request) -> web.Response:
    """Handle GET /health/ready: 200, or 503 that names what is missing."""
    checks = await check_all(request.app)
    if not await is_permitted(request, "metrics:read"):
        checks = {name: _without_reason(check) for name, check in checks.items()}
    if missing := missing_of(checks):
        raise Problem(
            503,
            "not-ready",
            "; ".join(f"{name}: {checks[name].reason}" for name in missing),
            title="Not ready",
            headers={"Retry-After": "2"},
            checks=checks,
        )
    return json_response({"status": "ready", "checks": checks})


async def check_all(app: web.Application) -> dict[str, Check]:
    """Everything that the service depends on."""
    kafka, registry = await asyncio.gather(_kafka(app), _registry(app))
    checks = {"kafka": kafka, "schema_registry": registry, "review_queue": _review_queue(app)}
    if JWT_KEYS in app:
        checks["jwt_keys"] = _jwt_keys(app)
    if DEDUPLICATOR in app:
        checks["receipts"] = _receipts(app)
    return checks


def _without_reason(check: Check) -> Check:
    return Check(ok=check.ok, required=check.required, reason=check.reason and REASON_WITHHELD)


def missing_of(checks: dict[str, Check]) -> list[str]:
    """Dependencies that the service cannot do its work without, and has not."""
    return [name for name, check in checks.items() if check.required and not check.ok]


async def _kafka(app: web.Application) -> Check:
    try:
        await app[CONNECTION].ping(PING_SECONDS)
    except UndertenError as error:
        return Check(ok=False, required=True, reason=str(error))
    return Check(ok=True, required=True)


async def _registry(app: web.Application) -> Check:
    """Check the registry; payments need it no more once our schemas are registered."""
    required = not app[CODECS].registered
    try:
        async with asyncio.timeout(PING_SECONDS):
            await app[CODECS].registry.ping()
    except (UndertenError, TimeoutError) as error:
        return Check(ok=False, required=required, reason=str(error) or "no answer in time")
    if required:
        return Check(ok=False, required=True, reason="the schemas are not registered yet")
    return Check(ok=True, required=False)


def _jwt_keys(app: web.Application) -> Check:
    """Check the keys of JWTs; once there are any, tokens are good without their address."""
    source = app[JWT_KEYS]
    return Check(ok=source.failure is None, required=not source.keys, reason=source.failure)


def _receipts(app: web.Application) -> Check:
    state = app[DEDUPLICATOR].state
    if not state.ready:
        return Check(ok=False, required=True, reason=app[RECOVERY].reason)
    if not state.usable:
        return Check(ok=False, required=False, reason="receipts are not kept; they are read from the topics again")
    return Check(ok=True, required=False)


def _review_queue(app: web.Application) -> Check:
    """Check the queue. Once the view has held everything, it may fall behind and payments go on: a disk may be full."""
    reader = app[QUEUE_READER]
    if not reader.caught_up:
        return Check(ok=False, required=True, reason=reader.reason or f"{reader.lag} records are still to be read")
    return Check(ok=reader.reason is None, required=False, reason=reader.reason)

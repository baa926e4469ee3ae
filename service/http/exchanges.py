"""Exchanges: a whole request and its response, without a task; see `service.http.exchange_connection`."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import structlog
from aiohttp import hdrs, web

from service.http.direct import match_infos
from service.http.heads import Heads
from service.http.problems import MEDIA_TYPE, from_exception
from service.http.responses import Headers
from service.metrics import Metrics

log = structlog.get_logger(__name__)


class Connection(Protocol):
    """The connection of an exchange."""

    def send_response(self, exchange: "Exchange", status: int, headers: Headers, body: bytes) -> None:
        """Send a response, unless the client has gone."""

    def end_exchange(self, waiter: asyncio.Future[None]) -> None:
        """Go on with what comes next."""

    def force_close(self) -> None:
        """Close at once."""


class Exchange:
    """A request under way; `respond` or `fail` ends it."""

    __slots__ = ("_body", "_connection", "_waiter", "path", "request", "started_at")

    def __init__(
        self,
        connection: Connection,
        path: str,
        request: web.Request,
        waiter: asyncio.Future[None],
        body: bytes | None,
    ) -> None:
        self.path = path
        self.request = request
        self.started_at = time.perf_counter()
        self._connection = connection
        self._waiter = waiter
        self._body = body

    def body(self) -> bytes:
        """Read the body; whoever does so has to end the exchange."""
        return self.request.content.read_nowait(-1) if self._body is None else self._body

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a response, if the client is still there; `headers` are one of few sets, with the content type."""
        connection = self._connection
        try:
            connection.send_response(self, status, headers, body)
        except Exception:
            log.exception("a response could not be sent")
            connection.force_close()
        connection.end_exchange(self._waiter)

    def fail(self, error: Exception) -> None:
        """Send an error's problem."""
        problem = from_exception(error)
        headers = ((hdrs.CONTENT_TYPE, MEDIA_TYPE), *problem.headers.items())
        self.respond(problem.status, headers, msgspec.json.encode(problem.members))


Take = Callable[[Exchange], bool]
"""Take an exchange, to end it now or later. False, or an exception, leaves the request to its ordinary handler."""


@dataclass(frozen=True)
class Exchanges:
    """The POSTs of an application that may be exchanges: who takes them by path, where the guard lets them pass."""

    metrics: Metrics
    passes: Callable[[web.Request], bool]
    """Tells whether a request may pass; False, or an exception, where that is for the ordinary guard to say."""
    takers: Mapping[str, Take]
    match_infos: dict[str, web.UrlMappingMatchInfo] = field(default_factory=dict)
    """Matches as aiohttp's router would find them, by path."""
    heads: Heads = field(default_factory=Heads)

    def resolve(self, app: web.Application) -> None:
        """Find the routes, once the application has them all."""
        self.match_infos.update(match_infos(app, self.takers))


EXCHANGES = web.AppKey("exchanges", Exchanges)

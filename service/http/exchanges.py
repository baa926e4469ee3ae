"""Exchanges: a whole request and its response, without a task.

aiohttp (3.14) wakes a connection's task for a request, has that start another for the handler, and comes back through
both. A request that is whole as it arrives, while nothing else is under way on its connection, needs neither: it is
taken where its bytes arrive, and answered from wherever its outcome is known.

Parsing, limits, keep-alive, pipelining and shutdown stay aiohttp's. During an exchange the connection's state is that
in which aiohttp's own handler runs: no `_waiter`, and `_request_in_progress`. So requests that come meanwhile queue up
within aiohttp's bounds, timers let the connection be, and a shutdown waits for the response. Whatever is not plain goes
aiohttp's way: a body in parts, compressed or chunked, `Expect`, HTTP/1.0, `Connection: close`, an upgrade, requests
that came together, and a client that does not read its responses.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import msgspec
import structlog
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from service.http.direct import match_infos
from service.http.problems import MEDIA_TYPE, from_exception
from service.http.request_ids import identify
from service.http.responses import Headers, serialised
from service.metrics import Metrics

NO_WRITER = cast("AbstractStreamWriter", None)
"""The writer of an exchange's request: its response is one write to the transport."""

log = structlog.get_logger(__name__)


class Exchange:
    """A request under way; `respond` or `fail` ends it."""

    __slots__ = ("_connection", "_waiter", "path", "request", "started_at")

    def __init__(
        self, connection: "ExchangeConnection", path: str, request: web.Request, waiter: asyncio.Future[None]
    ) -> None:
        self.path = path
        self.request = request
        self.started_at = time.perf_counter()
        self._connection = connection
        self._waiter = waiter

    def body(self) -> bytes:
        """Read the body; whoever does so has to end the exchange."""
        return self.request.content.read_nowait(-1)

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

    def resolve(self, app: web.Application) -> None:
        """Find the routes, once the application has them all."""
        self.match_infos.update(match_infos(app, self.takers))


EXCHANGES = web.AppKey("exchanges", Exchanges)


class ExchangeConnection(web.RequestHandler):
    """A connection that takes plain requests without a task."""

    __slots__ = ("_exchanges",)

    def __init__(
        self, exchanges: Exchanges | None, server: web.Server, loop: asyncio.AbstractEventLoop, **options: object
    ) -> None:
        """Take aiohttp's `server` and `options`."""
        super().__init__(server, loop=loop, **options)  # type: ignore[arg-type]
        self._exchanges = exchanges

    def data_received(self, data: bytes) -> None:
        """Parse what has come; begin an exchange, or wake the connection's task."""
        waiter = self._waiter
        if waiter is None or waiter.done() or self._exchanges is None:
            super().data_received(data)
            return
        self._waiter = None  # so that nobody is woken yet
        try:
            super().data_received(data)
            begun = len(self._messages) == 1 and self._begins_exchange(waiter, self._exchanges)
        except BaseException:
            self._waiter = waiter
            raise
        if not begun:
            self._waiter = waiter
            if self._messages:
                waiter.set_result(None)

    def send_response(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        """Send a response in one write, unless the client has gone; count it, and log it."""
        assert self._exchanges is not None
        transport = self.transport
        if transport is not None and not transport.is_closing():
            transport.write(serialised(exchange.request, status, headers, body))
        seconds = time.perf_counter() - exchange.started_at
        self._exchanges.metrics.request_answered(hdrs.METH_POST, exchange.path, status, seconds)
        if self._logging_enabled and self.access_logger is not None:
            self.access_logger.log(exchange.request, _response_of(status), seconds)

    def end_exchange(self, waiter: asyncio.Future[None]) -> None:
        """Go on as `RequestHandler.start` does after a response."""
        self._request_in_progress = False
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)
        if self._close or self._force_close:
            waiter.cancel()
            if self.transport is not None:
                self.transport.close()
            return
        self._next_keepalive_close_time = close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(close_time, self._process_keepalive)
        self._waiter = waiter
        if self._messages and not waiter.done():
            waiter.set_result(None)

    def _begins_exchange(self, waiter: asyncio.Future[None], exchanges: Exchanges) -> bool:
        """Tell whether the one message that is queued has become an exchange; it may be over by now."""
        message, payload = self._messages[0]
        if not (isinstance(message, RawRequestMessage) and payload.is_eof() and _is_plain(message)) or self._paused:
            return False
        match_info = exchanges.match_infos.get(message.path)
        manager, task = self._manager, self._task_handler
        if match_info is None or manager is None or task is None:
            return False
        request = cast("web.Request", manager.request_factory(message, payload, self, NO_WRITER, task))
        request._match_info = match_info  # noqa: SLF001 - as the application would
        self._messages.popleft()
        self._request_in_progress = True
        try:
            identify(request)
            exchange = Exchange(self, message.path, request, waiter)
            taken = exchanges.passes(request) and exchanges.takers[message.path](exchange)
        except Exception:  # noqa: BLE001 - whatever it is, the ordinary handler says it
            taken = False
        if taken:
            manager.requests_count += 1
            if self._parser is not None:
                self._parser.message_consumed()
        else:
            self._request_in_progress = False
            self._messages.appendleft((message, payload))
        return taken


def _is_plain(message: RawRequestMessage) -> bool:
    return (
        message.method == hdrs.METH_POST
        and message.version == HttpVersion11
        and not (message.should_close or message.upgrade or message.chunked or message.compression)
        and hdrs.EXPECT not in message.headers
    )


@functools.cache
def _response_of(status: int) -> web.Response:
    """Make a response for the access log, which reads the status alone."""
    return web.Response(status=status)

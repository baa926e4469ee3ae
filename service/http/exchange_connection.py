"""Connections that take plain requests where their bytes arrive, as exchanges.

aiohttp (3.14) wakes a connection's task for a request, has that start another for the handler, and comes back through
both. A request that is whole as it arrives, while nothing else is under way on its connection, needs neither: it is
taken where its bytes arrive, and answered from wherever its outcome is known. Where the same head came before, it is
not parsed again, and its body may come in a segment of its own.

Parsing, limits, keep-alive, pipelining and shutdown stay aiohttp's. During an exchange the connection's state is that
in which aiohttp's own handler runs: no `_waiter`, and `_request_in_progress`. So requests that come meanwhile queue up
within aiohttp's bounds, timers let the connection be, and a shutdown waits for the response. Whatever is not plain goes
aiohttp's way: any other body in parts, a compressed or chunked one, `Expect`, HTTP/1.0, `Connection: close`, an
upgrade, requests that came together, and a client that does not read its responses.
"""

import asyncio
import functools
import time
from typing import cast

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from service.http.exchanges import Exchange, Exchanges
from service.http.heads import Head, head_of
from service.http.request_ids import identify
from service.http.responses import Headers, serialised

NO_WRITER = cast("AbstractStreamWriter", None)
"""The writer of an exchange's request: its response is one write to the transport."""
HOLD_SECONDS = 0.1
"""Time that the beginning of a request is held for its rest, at most."""


class ExchangeConnection(web.RequestHandler):
    """A connection that takes plain requests without a task."""

    __slots__ = ("_beginning", "_bytes_to_come", "_exchanges", "_hold_timer", "_last_head")

    def __init__(
        self, exchanges: Exchanges | None, server: web.Server, loop: asyncio.AbstractEventLoop, **options: object
    ) -> None:
        """Take aiohttp's `server` and `options`."""
        super().__init__(server, loop=loop, **options)  # type: ignore[arg-type]
        self._exchanges = exchanges
        self._bytes_to_come: int | None = 0
        """Of the latest request; 0 where the next begins, None where that is not sure."""
        self._last_head: bytes | None = None
        self._beginning = b""
        """The beginning of a request whose head is kept, for the moment until its body comes."""
        self._hold_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Begin an exchange, or have what has come parsed."""
        waiter, exchanges = self._waiter, self._exchanges
        if waiter is None or waiter.done() or exchanges is None:
            self._parse(data)
            return
        beginning = self._beginning
        if beginning:
            data, self._beginning = beginning + data, b""
        head = exchanges.heads.find(data) if self._bytes_to_come == 0 else None
        if head is not None and len(data) == head.whole_size:
            self._take(head, data, waiter, exchanges)
        elif head is None or beginning:
            self._begin(data, waiter, exchanges)
        else:
            self._hold(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Drop the beginning of a request."""
        self._beginning = b""
        super().connection_lost(exc)

    def send_response(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        """Send a response in one write, unless the client has gone; count it, and log it."""
        assert self._exchanges is not None
        transport = self.transport
        if transport is not None and not transport.is_closing():
            transport.write(serialised(exchange.request, status, headers, body))
        seconds = time.perf_counter() - exchange.started_at
        self._exchanges.metrics.count_request(hdrs.METH_POST, exchange.path, status, seconds)
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

    def _hold(self, data: bytes) -> None:
        """Hold the beginning of a request: many clients send its body in a segment of its own."""
        self._beginning = data
        if self._hold_timer is None:
            self._hold_timer = self._loop.call_later(HOLD_SECONDS, self._stop_holding)

    def _stop_holding(self) -> None:
        """Have aiohttp wait for the rest of a request that has begun."""
        self._hold_timer = None
        if self._beginning:
            self.data_received(b"")

    def _take(self, head: Head, data: bytes, waiter: asyncio.Future[None], exchanges: Exchanges) -> None:
        """Take a whole request whose head is kept."""
        self._waiter = None
        if self._begins_exchange(head.message, EMPTY_PAYLOAD, data[head.size :], waiter, exchanges):
            self._request_count += 1
        else:
            self._waiter = waiter
            super().data_received(data)

    def _begin(self, data: bytes, waiter: asyncio.Future[None], exchanges: Exchanges) -> None:
        """Begin an exchange if the data are a plain request, or have the connection's task take what has come."""
        self._waiter = None  # so that nobody is woken yet
        try:
            self._parse(data)
            if len(self._messages) == 1 and self._first_begins_exchange(waiter, exchanges):
                return
        except BaseException:
            self._waiter = waiter
            raise
        self._waiter = waiter
        if self._messages:
            waiter.set_result(None)

    def _parse(self, data: bytes) -> None:
        """Have aiohttp parse what has come, and note where in a request it ends."""
        to_come, messages_before = self._bytes_to_come, len(self._messages)
        super().data_received(data)
        if to_come is None or not data:  # aiohttp itself comes with none, to have its parser go on
            return
        if to_come == 0:
            self._bytes_to_come = self._note_head(data) if len(self._messages) == messages_before + 1 else None
        else:
            self._bytes_to_come = to_come - len(data) if len(data) <= to_come else None

    def _note_head(self, data: bytes) -> int | None:
        """Keep the head of the one request in data if it came twice in a row; return how much of it is to come."""
        message, _ = self._messages[-1]
        if not isinstance(message, RawRequestMessage) or message.chunked or message.upgrade:
            return None
        body_size = int(message.headers.get(hdrs.CONTENT_LENGTH, "0"))
        head = head_of(data, body_size)
        if head is None:
            return None
        exchanges = self._exchanges
        if head == self._last_head and exchanges and _is_plain(message) and message.path in exchanges.match_infos:
            exchanges.heads.keep(head, message, body_size)
        self._last_head = head
        return len(head) + body_size - len(data)

    def _first_begins_exchange(self, waiter: asyncio.Future[None], exchanges: Exchanges) -> bool:
        """Tell whether the one message that is queued has become an exchange; it may be over by now."""
        message, payload = self._messages[0]
        if not (isinstance(message, RawRequestMessage) and payload.is_eof() and _is_plain(message)):
            return False
        self._messages.popleft()
        if not self._begins_exchange(message, payload, None, waiter, exchanges):
            self._messages.appendleft((message, payload))
            return False
        if self._parser is not None:
            self._parser.message_consumed()
        return True

    def _begins_exchange(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        body: bytes | None,
        waiter: asyncio.Future[None],
        exchanges: Exchanges,
    ) -> bool:
        """Tell whether a message has become an exchange; its body is the one given, or in the payload."""
        match_info = exchanges.match_infos.get(message.path)
        manager, task = self._manager, self._task_handler
        if match_info is None or manager is None or task is None or self._paused or self._close or self._force_close:
            return False
        request = cast("web.Request", manager.request_factory(message, payload, self, NO_WRITER, task))
        request._match_info = match_info  # noqa: SLF001 - as the application would
        self._request_in_progress = True
        try:
            identify(request)
            exchange = Exchange(self, message.path, request, waiter, body)
            is_exchange = exchanges.passes(request) and exchanges.takers[message.path](exchange)
        except Exception:  # noqa: BLE001 - whatever it is, the ordinary handler says it
            is_exchange = False
        if is_exchange:
            manager.requests_count += 1
        else:
            self._request_in_progress = False
        return is_exchange


def _is_plain(message: RawRequestMessage) -> bool:
    return (
        message.method == hdrs.METH_POST
        and message.version == HttpVersion11
        and not (message.should_close or message.upgrade or message.chunked)
        and hdrs.CONTENT_ENCODING not in message.headers
        and hdrs.EXPECT not in message.headers
    )


@functools.cache
def _response_of(status: int) -> web.Response:
    """Make a response for the access log, which reads the status alone."""
    return web.Response(status=status)

"""Connections from clients: how many, how long a new one may be silent, and the response to bytes that are no HTTP.

aiohttp bounds the lines and headers of a request, and the time between two requests of a connection. It makes no
difference between a client that comes back in a minute and one that has never sent anything: that is added here.
"""

import asyncio
import resource
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from service.http.direct import Handle, direct
from service.http.exchange_connection import ExchangeConnection
from service.http.exchanges import Exchanges
from service.http.problems import Problem
from service.http.responses import problem_response

RESERVED_FILES = 256
"""Files that the process needs beside its clients' connections: Kafka's, the registry's, the view's, the receipts'."""


@dataclass
class Connections:
    """Bounds on the connections of a process, and counts of them."""

    max_open: int
    first_request_seconds: float
    open: int = 0
    refused: int = 0
    """Connections closed at once, because too many were open."""
    silent: int = 0
    """Connections closed because their first request did not come in time."""


CONNECTIONS = web.AppKey("connections", Connections)


class ClientConnection(ExchangeConnection):
    """A connection that counts itself, and closes where its first request does not come in time."""

    __slots__ = ("_bounds", "_counted", "_first_request_timer")

    def __init__(
        self,
        bounds: Connections,
        exchanges: Exchanges | None,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        **options: object,
    ) -> None:
        """Take aiohttp's `server` and `options`."""
        super().__init__(exchanges, server, loop, **options)
        self._bounds = bounds
        self._counted = False
        self._first_request_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection where there is room, abort it where there is none."""
        bounds = self._bounds
        if bounds.open >= bounds.max_open:
            bounds.refused += 1
            cast(asyncio.Transport, transport).abort()
            return
        bounds.open += 1
        self._counted = True
        self._first_request_timer = self._loop.call_later(bounds.first_request_seconds, self._close_if_silent)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count the connection as closed, whoever closed it."""
        if self._first_request_timer is not None:
            self._first_request_timer.cancel()
        if self._counted:
            self._bounds.open -= 1
            self._counted = False
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer bytes that are no request like any error; nothing of them is repeated or logged."""
        if status != 400 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        if isinstance(exc, LineTooLong):
            problem = Problem(431, "headers-too-large", "the request's line or one of its headers is too long")
        else:
            problem = Problem(400, "malformed-request", "this is not a request in HTTP/1.1")
        response = problem_response(problem)
        response.force_close()
        return response

    def _close_if_silent(self) -> None:
        if self._request_count == 0:
            self._bounds.silent += 1
            self.force_close()


class Runner(web.AppRunner):
    """An aiohttp runner whose connections are `ClientConnection`s."""

    def __init__(
        self, app: web.Application, bounds: Connections, exchanges: Exchanges | None = None, **options: object
    ) -> None:
        """Take aiohttp's `app` and `options`; POSTs to the paths of `exchanges` pass its router by.

        Bodies stay as they come: `service.http.inflation` inflates them.
        """
        super().__init__(app, auto_decompress=False, **options)  # type: ignore[arg-type]
        self._bounds = bounds
        self._exchanges = exchanges

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        handle: Handle = server.request_handler
        if self._exchanges is not None:
            self._exchanges.resolve(self.app)
            handle = direct(self.app, self._exchanges.takers, handle)
        # The application's server makes requests of the kind that its handlers take.
        return _BoundedServer(server, handle, self._bounds, self._exchanges)


class _BoundedServer(web.Server):
    def __init__(self, server: web.Server, handle: Handle, bounds: Connections, exchanges: Exchanges | None) -> None:
        self._options = server._kwargs  # noqa: SLF001 - the runner's, who made it
        super().__init__(cast(Any, handle), request_factory=server.request_factory, **self._options)
        self._bounds = bounds
        self._exchanges = exchanges

    def __call__(self) -> web.RequestHandler:
        return ClientConnection(self._bounds, self._exchanges, self, self._loop, **self._options)


def raise_file_limit(max_connections: int) -> int:
    """Raise the limit on open files as far as so many connections need; returns how many it allows now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = max_connections + RESERVED_FILES
    if soft < files:
        soft = files if hard == resource.RLIM_INFINITY else min(files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(max_connections, max(1, soft - RESERVED_FILES))

"""Connections from clients: how many, how long one may say nothing, and what it is told that speaks no HTTP.

aiohttp bounds the lines and headers of a request, and the time between two requests of a connection. What it lacks is
here: it makes no difference between a client that comes back in a minute and one that has never said anything.
"""

import asyncio
import resource
from dataclasses import dataclass
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from service.http import problems
from service.http.problems import Problem

OTHER_FILES = 256
"""Files that the process needs beside its clients' connections: Kafka's, the registry's, the view's, the receipts'."""


@dataclass
class Connections:
    """The bounds, and what became of those who came to them."""

    most: int
    first_request_seconds: float
    open: int = 0
    refused: int = 0
    """Closed at once, because too many were open."""
    silent: int = 0
    """Closed because their first request did not come in time."""


CONNECTIONS = web.AppKey("connections", Connections)


class ClientConnection(web.RequestHandler):
    """One connection."""

    __slots__ = ("_bounds", "_counted", "_patience")

    def __init__(
        self, bounds: Connections, server: web.Server, loop: asyncio.AbstractEventLoop, **options: object
    ) -> None:
        """`server` and `options` are aiohttp's."""
        super().__init__(server, loop=loop, **options)  # type: ignore[arg-type]
        self._bounds = bounds
        self._counted = False
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, if there is room."""
        bounds = self._bounds
        if bounds.open >= bounds.most:
            bounds.refused += 1
            cast(asyncio.Transport, transport).abort()
            return
        bounds.open += 1
        self._counted = True
        self._patience = self._loop.call_later(bounds.first_request_seconds, self._close_if_silent)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It has ended, whoever ended it."""
        if self._patience is not None:
            self._patience.cancel()
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
        """What could not be read as a request is answered like any error; nothing of it is repeated or logged."""
        if status != 400 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        if isinstance(exc, LineTooLong):
            problem = Problem(431, "headers-too-large", "the request's line or one of its headers is too long")
        else:
            problem = Problem(400, "malformed-request", "this is not a request in HTTP/1.1")
        response = problems.response(problem)
        response.force_close()
        return response

    def _close_if_silent(self) -> None:
        if self._request_count == 0:
            self._bounds.silent += 1
            self.force_close()


class Runner(web.AppRunner):
    """Runs an application with connections of this kind."""

    def __init__(self, app: web.Application, bounds: Connections, **options: object) -> None:
        """`options` are aiohttp's."""
        super().__init__(app, **options)  # type: ignore[arg-type]
        self._bounds = bounds

    async def _make_server(self) -> web.Server:
        return _BoundedServer(await super()._make_server(), self._bounds)


class _BoundedServer(web.Server):
    def __init__(self, made: web.Server, bounds: Connections) -> None:
        self._options = made._kwargs  # noqa: SLF001 - the runner's, who made it
        super().__init__(made.request_handler, request_factory=made.request_factory, **self._options)
        self._bounds = bounds

    def __call__(self) -> web.RequestHandler:
        return ClientConnection(self._bounds, self, self._loop, **self._options)


def room_for_connections(most: int) -> int:
    """As many connections as wished, or as the limit on open files allows: it is raised as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < most + OTHER_FILES:
        soft = most + OTHER_FILES if hard == resource.RLIM_INFINITY else min(most + OTHER_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(most, max(1, soft - OTHER_FILES))

"""Connections: as many as there is room for, closed where they are silent, answered where they speak no HTTP."""

import asyncio
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from service.http.connections import Connections, Runner, raise_file_limit

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def show(_: web.Request) -> web.Response:
    return web.Response(text="here")


@asynccontextmanager
async def serving(bounds: Connections) -> AsyncIterator[Connect]:
    app = web.Application()
    app.router.add_get("/", show)
    runner = Runner(app, bounds, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    yield lambda: asyncio.open_connection("127.0.0.1", port)
    await runner.cleanup()


async def test_a_connection_more_than_allowed_is_closed_and_counted() -> None:
    bounds = Connections(max_open=1, first_request_seconds=60.0)
    async with serving(bounds) as connect:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"here")
        refused, refused_writer = await connect()
        with suppress(ConnectionError):  # or its end
            assert await refused.read() == b""
        assert (bounds.open, bounds.refused) == (1, 1)
        writer.close()
        refused_writer.close()


async def test_a_connection_without_a_request_is_closed_and_counted() -> None:
    bounds = Connections(max_open=9, first_request_seconds=0.01)
    async with serving(bounds) as connect:
        reader, writer = await connect()
        assert await reader.read() == b""
        assert bounds.silent == 1
        writer.close()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x16\x03\x01 no HTTP\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nLong: " + b"x" * 10_000 + b"\r\n\r\n", b"431"),
    ],
)
async def test_bytes_that_are_no_request_get_a_problem(request_bytes: bytes, status: bytes) -> None:
    async with serving(Connections(max_open=9, first_request_seconds=60.0)) as connect:
        reader, writer = await connect()
        writer.write(request_bytes)
        response = await reader.read()
        assert response.split()[1] == status
        assert b"application/problem+json" in response
        assert b"\x16" not in response
        writer.close()


def test_the_limit_on_files_is_raised_no_further_than_it_may_be() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        assert raise_file_limit(10) == 10
        assert raise_file_limit(10**9) <= 10**9
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

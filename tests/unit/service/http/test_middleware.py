"""The middleware around every view, on a port of loopback."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from service.http.middleware import make_middleware
from service.http.problems import unavailable
from service.metrics import Metrics
from tests.integration.processes import until


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def port(metrics: Metrics) -> AsyncIterator[int]:
    async def nobody_is_stopped(request: web.Request) -> None:
        """Whoever comes may pass."""

    app = web.Application(middlewares=[make_middleware(metrics, nobody_is_stopped)])
    app.add_routes([web.post("/read", read), web.get("/break", break_off), web.get("/stream", stream)])
    # aiohttp's test server would cancel a view whose client has gone; a real one does not.
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def read(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"more\n")
        await asyncio.sleep(0)


async def break_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"the beginning\n")
    raise unavailable("view-unavailable", "the view is not readable")


async def counted(metrics: Metrics, route: str, status: int) -> None:
    async def is_counted() -> bool:
        return f'route="{route}",status="{status}"'.encode() in metrics.exposition()

    await until(is_counted, 5)


@pytest.mark.parametrize(
    ("request_line", "more", "first", "route"),
    [
        (b"POST /read", b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\nhalf", b"100 Continue\r\n\r\n", "/read"),
        (b"GET /stream", b"\r\n", b"more", "/stream"),
    ],
    ids=["body", "answer"],
)
async def test_a_client_that_goes_away_within_its_body_or_its_answer_is_no_error(
    port: int,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
    request_line: bytes,
    more: bytes,
    first: bytes,
    route: str,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_line + b" HTTP/1.1\r\nHost: a\r\n" + more)
    await reader.readuntil(first)
    with capture_logs() as logs:
        writer.transport.abort()
        await counted(metrics, route, 499)
    assert logs == []
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_an_answer_that_has_begun_is_broken_off_and_not_followed_by_another(
    port: int, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /break HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\nthe beginning\n\r\n"), "no last chunk, no second answer"
    writer.close()
    await counted(metrics, "/break", 503)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []

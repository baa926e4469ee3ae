"""Clients that send nothing, too slowly, too much, or no HTTP at all. No Kafka is needed to turn them away."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from compose.addresses import free_port
from schemas.kafka.settings import KafkaSettings
from schemas.registry import RegistrySettings
from service.app import make_app
from service.http.connections import CONNECTIONS, Runner, raise_file_limit
from service.http.exchanges import EXCHANGES
from tests.integration.processes import until
from tests.integration.serving import settings

SLACK = 2.0
LIVE = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

Served = tuple[web.Application, int]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Served]]]:
    """Serve as `service.server` does, with some settings changed and no Kafka; the application, and its port."""
    nowhere = f"127.0.0.1:{free_port()}"
    kafka, registry = (
        KafkaSettings(kafka_bootstrap_servers=nowhere),
        RegistrySettings(schema_registry_url=f"http://{nowhere}"),
    )
    async with AsyncExitStack() as stack:

        async def start(**changes: Any) -> Served:
            changed = settings(kafka, registry, tmp_path / "view.sqlite", **changes)
            app, port = make_app(changed), free_port()
            keepalive = changed.service.keepalive_timeout
            runner = Runner(app, app[CONNECTIONS], app[EXCHANGES], keepalive_timeout=keepalive, access_log=None)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", port).start()
            return app, port

        yield start


async def until_closed(reader: asyncio.StreamReader, seconds: float) -> bytes:
    """All that comes until the other side closes, however it does; raises TimeoutError."""
    try:
        return await asyncio.wait_for(reader.read(), seconds)
    except ConnectionResetError:
        return b""


async def send_slowly(writer: asyncio.StreamWriter, data: bytes) -> None:
    for byte in data:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("says", [b"", LIVE[:-4] + b"\r\nX-Slow: " + b"x" * 1000], ids=["nothing", "byte by byte"])
async def test_who_sends_no_whole_request_is_closed(serve: Callable[..., Awaitable[Served]], says: bytes) -> None:
    app, port = await serve(header_timeout=1.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.create_task(send_slowly(writer, says))
    assert await until_closed(reader, 1 + SLACK) == b""
    sending.cancel()
    writer.close()
    await until(lambda: closed(app))
    assert app[CONNECTIONS].silent == 1


async def closed(app: web.Application) -> bool:
    return app[CONNECTIONS].open == 0


async def test_who_comes_back_has_longer_but_not_for_ever(serve: Callable[..., Awaitable[Served]]) -> None:
    app, port = await serve(header_timeout=1.0, keepalive_timeout=2.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(LIVE)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        await reader.readexactly(len(b'{"status":"live"}'))
        await asyncio.sleep(1.5)
    sending = asyncio.create_task(send_slowly(writer, b"GET / HTTP/1.1\r\nX-Slow: " + b"x" * 1000))
    assert await until_closed(reader, 2.5 + SLACK) == b""
    sending.cancel()
    writer.close()
    assert app[CONNECTIONS].silent == 0


async def test_one_connection_too_many_is_closed_and_there_is_room_again(
    serve: Callable[..., Awaitable[Served]],
) -> None:
    app, port = await serve(max_connections=2)
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    await until(lambda: are_open(app, 2))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await until_closed(reader, SLACK) == b""
    assert app[CONNECTIONS].refused == 1
    for _, connection in [*held, (reader, writer)]:
        connection.close()
    await until(lambda: closed(app))
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/health/live") as response:
        assert response.status == 200


async def are_open(app: web.Application, number: int) -> bool:
    return app[CONNECTIONS].open == number


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400),
        (b"hello\r\n\r\n", 400),
        (b"POST /payment_json HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"secret" * 4000 + b"\r\n\r\n", 431),
        (b"GET /" + b"secret" * 4000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"secret: x\r\n" * 1000 + b"\r\n", 400),
    ],
)
async def test_what_is_no_http_is_answered_with_a_problem_and_not_repeated(
    serve: Callable[..., Awaitable[Served]], request_: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    _, port = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_)
    answer = await until_closed(reader, SLACK)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"%d" % status
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["status"] == status
    assert b"secret" not in answer
    assert "secret" not in caplog.text


def test_more_connections_than_files_may_be_open_are_not_promised() -> None:
    assert raise_file_limit(100) == 100
    assert raise_file_limit(10**9) < 10**9

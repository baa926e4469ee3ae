"""Bodies: their limits of size and time, and their media types."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from service.http.bodies import BodyBudget, media_type, read_body
from service.http.middleware import make_middleware
from service.http.problems import Problem
from service.metrics import Metrics

Send = Callable[..., object]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("application/json", ("application/json", "utf-8")),
        ("Application/JSON; charset=UTF-8", ("application/json", "utf-8")),
        ("text/plain; charset=latin-1", ("text/plain", "latin-1")),
        ("", ("text/plain", "utf-8")),
        ("application/json; charset*", ("", "")),
    ],
)
def test_a_media_type_is_read_in_lower_case_with_its_charset(header: str, expected: tuple[str, str]) -> None:
    assert media_type(header) == expected


def test_a_budget_refuses_bytes_above_it_until_some_are_given_back() -> None:
    budget = BodyBudget(10)
    budget.take(8)
    with pytest.raises(Problem) as caught:
        budget.take(3)
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
    budget.give_back(8)
    budget.take(10)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async def anybody(_: web.Request) -> None:
        """Let everybody in."""

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await read_body(request, limit=4, seconds=0.2))

    app = web.Application(middlewares=[make_middleware(Metrics(), anybody)])
    app.add_routes([web.post("/", echo)])
    # Without lingering, the end of a response is the connection's: nobody sends the rest of a body here.
    runner = web.AppRunner(app, lingering_time=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def exchange(port: int, *parts: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n")
    for part in parts:
        writer.write(part)
        await writer.drain()
    response = await reader.read()
    writer.close()
    return response


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ((b"Content-Length: 4\r\n\r\nfour",), b"200"),
        ((b"Content-Length: 5\r\n\r\nfives",), b"413"),
        ((b"Content-Length: 4\r\n\r\nfou",), b"408"),
        ((b"Transfer-Encoding: chunked\r\n\r\n2\r\nfo\r\n", b"2\r\nur\r\n0\r\n\r\n"), b"200"),
        ((b"Transfer-Encoding: chunked\r\n\r\n3\r\nfiv\r\n", b"2\r\nes\r\n0\r\n\r\n"), b"413"),
    ],
)
async def test_a_body_is_taken_within_its_limits_and_refused_above_them(
    port: int, parts: tuple[bytes, ...], status: bytes
) -> None:
    assert (await exchange(port, *parts)).split()[1] == status

"""Responses: what is sent in one write reads as aiohttp's own does."""

import asyncio
from collections.abc import AsyncIterator
from email.parser import BytesParser
from email.utils import parsedate_to_datetime

import pytest
from aiohttp import web

from service.http import request_ids, security_headers
from service.http.connections import Connections, Runner
from service.http.exchanges import Exchange, Exchanges, Take
from service.http.middleware import make_middleware
from service.http.problems import unavailable
from service.http.responses import created_response
from service.metrics import Metrics

HEADERS = (("Content-Type", "application/json"), ("Idempotency-Replayed", "true"))
BODY = b'{"offset":1}'


async def anybody(_: web.Request) -> None:
    """Let everybody in."""


async def create(request: web.Request) -> web.StreamResponse:
    body = await request.read()
    if body == b"refuse":
        raise unavailable("not-accepted", "try again")
    return created_response(request, BODY, HEADERS)


async def create_slowly(request: web.Request) -> web.StreamResponse:
    return web.Response(body=BODY, status=201, headers=HEADERS)


def take(exchange: Exchange) -> bool:
    if exchange.body() == b"refuse":
        exchange.fail(unavailable("not-accepted", "try again"))
    else:
        exchange.respond(201, HEADERS, BODY)
    return True


TAKERS: dict[str, dict[str, Take]] = {
    "exchange": {"/fast": take},
    "direct": {"/fast": lambda _: False},
    "routed": {},
}


@pytest.fixture(params=TAKERS)
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    metrics = Metrics()
    app = web.Application(middlewares=[make_middleware(metrics, anybody)])
    app.on_response_prepare.extend([request_ids.add_header, security_headers.add_headers])
    app.add_routes([web.post("/fast", create), web.post("/slow", create_slowly)])
    exchanges = Exchanges(metrics, lambda _: True, TAKERS[request.param])
    runner = Runner(app, Connections(max_open=9, first_request_seconds=60.0), exchanges, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


def post(path: str, *headers: str, version: str = "1.1", body: bytes = b"") -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: a", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def exchange(port: int, *requests: bytes) -> list[tuple[bytes, dict[str, str], bytes]]:
    """Send requests at once, the last of which closes the connection; returns status lines, headers and bodies."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(requests))
    responses = []
    for _ in requests:
        head = await reader.readuntil(b"\r\n\r\n")
        status, _, fields = head.partition(b"\r\n")
        headers = dict(BytesParser().parsebytes(fields).items())
        responses.append((status, headers, await reader.readexactly(int(headers["Content-Length"]))))
    writer.close()
    return responses


@pytest.mark.parametrize("sent", [(), ("X-Request-ID: mine",), ("X-Request-ID: mine", "X-Forwarded-Proto: https")])
async def test_headers_are_those_that_any_response_has(port: int, sent: tuple[str, ...]) -> None:
    [fast] = await exchange(port, post("/fast", *sent))
    [slow] = await exchange(port, post("/slow", *sent))
    assert (fast[0], fast[2]) == (slow[0], slow[2]) == (b"HTTP/1.1 201 Created", BODY)
    assert fast[1].keys() == slow[1].keys()
    changing = {"Date", "X-Request-ID"} if not sent else {"Date"}
    assert {name: fast[1][name] for name in fast[1].keys() - changing} == {
        name: slow[1][name] for name in slow[1].keys() - changing
    }
    apart = parsedate_to_datetime(fast[1]["Date"]) - parsedate_to_datetime(slow[1]["Date"])
    assert abs(apart.total_seconds()) < 60


async def test_requests_that_come_together_are_answered_one_by_one_also_after_a_problem(port: int) -> None:
    responses = await exchange(port, post("/fast"), post("/fast", body=b"refuse"), post("/slow"), post("/fast"))
    assert [status.split()[1] for status, _, _ in responses] == [b"201", b"503", b"201", b"201"]


@pytest.mark.parametrize(
    ("version", "headers", "connection"),
    [("1.1", ("Connection: close",), "close"), ("1.0", (), None), ("1.0", ("Connection: keep-alive",), "keep-alive")],
)
async def test_a_connection_ends_or_goes_on_as_its_client_asks(
    port: int, version: str, headers: tuple[str, ...], connection: str | None
) -> None:
    [(status, fields, body)] = await exchange(port, post("/fast", *headers, version=version))
    assert (status.split()[1], body) == (b"201", BODY)
    assert fields.get("Connection") == connection


async def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"body")
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 201")
    writer.close()

"""Segments: however requests are cut into pieces on their way, each has the response that it has without exchanges."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.http import exchange_connection
from service.http.connections import Connections, Runner
from service.http.exchange_connection import ExchangeConnection
from service.http.exchanges import Exchange, Exchanges
from service.http.middleware import make_middleware
from service.http.problems import Problem
from service.metrics import Metrics

TURNS = 12
"""Of the event loop, for several responses."""
MAX_SEGMENTS = 60
TEXT = (("Content-Type", "text/plain"),)
BODIES = [b"", b"1234", b"abcd", b"\r\n\r\n", b"POST /pay HTTP/1.1\r\n\r\n", b"12345678"]


class Client(asyncio.Transport):
    """The client's side of a connection: the responses that it has received."""

    def __init__(self) -> None:
        super().__init__()
        self.received = bytearray()
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.received += data

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def pause_reading(self) -> None:
        """Nothing is sent until the loop has turned."""

    def resume_reading(self) -> None:
        """See above."""

    def responses(self) -> list[tuple[bytes, bytes]]:
        """Status and body of each."""
        rest, responses = bytes(self.received), []
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            responses.append((head[9:12], rest[:size]))
            rest = rest[size:]
        return responses


def take(exchange: Exchange) -> bool:
    """Take what is not refused; answer some requests at once, and some later."""
    if exchange.request.headers.get("X-Refuse"):
        return False
    body = exchange.body()
    if exchange.request.headers.get("X-Fail"):
        exchange.fail(Problem(503, "refused", "not now"))
    elif body.startswith(b"1"):
        exchange.respond(201, TEXT, body)
    else:
        asyncio.get_running_loop().call_soon(exchange.respond, 201, TEXT, body)
    return True


async def handle(request: web.Request) -> web.Response:
    if request.headers.get("X-Fail"):
        raise Problem(503, "refused", "not now")
    return web.Response(status=201, body=await request.read(), content_type="text/plain")


async def guard(request: web.Request) -> None:
    """Let everybody pass."""


async def runner(*, with_exchanges: bool) -> Runner:
    app = web.Application(middlewares=[make_middleware(Metrics(), guard)])
    app.add_routes([web.post("/pay", handle), web.get("/other", handle)])
    exchanging = Exchanges(Metrics(), lambda _: True, {"/pay": take}) if with_exchanges else None
    started = Runner(app, Connections(max_open=9, first_request_seconds=60.0), exchanging, access_log=None)
    await started.setup()
    return started


async def responses_to(
    server: Runner, segments: Sequence[bytes], pauses: Sequence[bool]
) -> tuple[list[tuple[bytes, bytes]], bool]:
    """The responses of one connection, and its end; pauses come before segments."""
    assert server.server is not None
    connection, client = server.server(), Client()
    connection.connection_made(client)
    await turn()
    for segment, pause in zip(segments, pauses, strict=False):
        if pause:
            await turn()
        if not client.is_closed:
            connection.data_received(segment)
    await turn()
    await asyncio.sleep(2 * exchange_connection.HOLD_SECONDS)
    await turn()
    connection.connection_lost(None)
    return client.responses(), client.is_closed


async def turn() -> None:
    """Let whatever can be answered be answered."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


def post(body: bytes, header: str) -> bytes:
    head = f"POST /pay HTTP/1.1\r\nHost: a\r\n{header}"
    if header.startswith("Transfer"):
        chunks = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return f"{head}\r\n".encode() + chunks + b"0\r\n\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


HEADERS = ["", "", "", "X-Refuse: 1\r\n", "X-Fail: 1\r\n", "Transfer-Encoding: chunked\r\n", "X-Request-ID: a\r\n"]
MALFORMED = [b"POST /pay HTTP/1.1\nHost: a\nContent-Length: 0\n\n", b"no HTTP\r\n\r\n"]
NESTING = b"POST /pay HTTP/1.1\r\nX-Line: "
"""Whatever request comes after it is its header's value, and the rest of its own."""
requests = st.one_of(
    st.builds(post, st.sampled_from(BODIES), st.sampled_from(HEADERS)),
    st.builds(NESTING.__add__, st.builds(post, st.sampled_from(BODIES), st.sampled_from(HEADERS[:5]))),
    st.sampled_from([b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n", *MALFORMED]),
)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Requests one after the other, cut here and there, often where a body begins or a request ends."""
    sent = [request for request in draw(st.lists(requests, max_size=5)) for _ in range(draw(st.integers(1, 4)))]
    text = b"".join(sent)
    ends, at = [], 0
    places = {0, len(text)}
    for request in sent:
        if request in MALFORMED:  # aiohttp forgets the requests that came with it, so it comes by itself
            places.add(at)
        ends += [at + request.find(mark) + len(mark) for mark in (NESTING, b"\r\n\r\n", request) if mark in request]
        at += len(request)
    often = draw(st.lists(st.sampled_from(ends or [0]), max_size=12))
    cuts = ends if draw(st.booleans()) else often + draw(st.lists(st.integers(0, len(text)), max_size=3))
    ordered = sorted(places.union(cut for cut in cuts if cut <= len(text)))
    return [text[start:end] for start, end in pairwise(ordered)]


@pytest.fixture
async def servers(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Runner, Runner]]:
    monkeypatch.setattr(exchange_connection, "HOLD_SECONDS", 0.001)
    both = await runner(with_exchanges=True), await runner(with_exchanges=False)
    yield both
    for server in both:
        await server.cleanup()


def test_responses_do_not_depend_on_how_requests_are_cut(servers: tuple[Runner, Runner]) -> None:
    loop = asyncio.get_event_loop()

    @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(streams(), st.lists(st.integers(0, 3).map(bool), min_size=MAX_SEGMENTS, max_size=MAX_SEGMENTS))
    def run(segments: list[bytes], pauses: list[bool]) -> None:
        exchanging, ordinary = (loop.run_until_complete(responses_to(server, segments, pauses)) for server in servers)
        assert exchanging == ordinary

    run()


async def test_a_request_that_comes_before_its_connection_waits_for_one_has_its_head_kept(
    servers: tuple[Runner, Runner],
) -> None:
    server = servers[0].server
    assert server is not None
    connection, client, request = server(), Client(), post(b"1234", "X-New: 1\r\n")
    assert isinstance(connection, ExchangeConnection)
    assert connection._exchanges is not None
    connection.connection_made(client)
    for _ in range(2):
        connection.data_received(request)
        await turn()
    assert len(client.responses()) == 2
    assert connection._exchanges.heads.find(request) is not None
    assert connection._bytes_to_come == 0
    connection.connection_lost(None)

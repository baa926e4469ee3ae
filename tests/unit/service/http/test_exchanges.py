"""Exchanges: plain requests are taken without a task, everything else and everybody else is served as before."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from service.http import request_ids, security_headers
from service.http.connections import Connections, Runner
from service.http.exchange_connection import ExchangeConnection
from service.http.exchanges import Exchange, Exchanges
from service.http.middleware import make_middleware
from service.http.problems import Problem
from service.metrics import Metrics
from tests.integration.processes import until

HEADERS = (("Content-Type", "text/plain"),)
SOON = 5.0


@dataclass
class Service:
    """A service whose exchanges the test answers itself, and which answers by a handler what is none."""

    keepalive_timeout: float
    metrics: Metrics = field(default_factory=Metrics)
    bounds: Connections = field(default_factory=lambda: Connections(max_open=9, first_request_seconds=60.0))
    taken: list[tuple[Exchange, bytes]] = field(default_factory=list)
    handled: list[bytes] = field(default_factory=list)
    take: Callable[[Exchange], bool] | None = None
    runner: Runner = field(init=False)

    def __post_init__(self) -> None:
        app = web.Application(middlewares=[make_middleware(self.metrics, self.guard)])
        app.on_response_prepare.extend([request_ids.add_header, security_headers.add_headers])
        app.add_routes([web.post("/pay", self.handle), web.post("/other", self.handle)])
        exchanges = Exchanges(self.metrics, self.passes, {"/pay": self.keep})
        options = {"keepalive_timeout": self.keepalive_timeout, "shutdown_timeout": 60}
        self.runner = Runner(app, self.bounds, exchanges, access_log=None, **options)

    async def guard(self, request: web.Request) -> None:
        if "X-Stranger" in request.headers:
            raise Problem(401, "unauthorized", "who are you?")

    def passes(self, request: web.Request) -> bool:
        return "X-Unknown" not in request.headers

    def keep(self, exchange: Exchange) -> bool:
        if self.take is not None:
            return self.take(exchange)
        self.taken.append((exchange, exchange.body()))
        return True

    async def handle(self, request: web.Request) -> web.Response:
        self.handled.append(await request.read())
        return web.Response(text="handled")

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.runner.addresses[0][1])

    async def take_next(self) -> Exchange:
        """Wait until the next exchange has begun."""
        count = len(self.taken)

        async def is_taken() -> bool:
            return len(self.taken) > count

        await until(is_taken, SOON)
        return self.taken[-1][0]

    def connection(self) -> ExchangeConnection:
        """The only connection there is."""
        assert self.runner.server is not None
        [connection] = self.runner.server.connections
        assert isinstance(connection, ExchangeConnection)
        return connection


@pytest.fixture
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    started = Service(getattr(request, "param", 60.0))
    await started.runner.setup()
    await web.TCPSite(started.runner, "127.0.0.1", 0).start()
    yield started
    await started.runner.cleanup()


def post(body: bytes = b"", *headers: str, path: str = "/pay", version: str = "1.1") -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: a", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    return int(head.split()[1]), await reader.readexactly(int(length.split(b":")[1]))


async def test_plain_requests_are_taken_one_after_the_other(service: Service) -> None:
    reader, writer = await service.connect()
    for number in range(3):
        writer.write(post(b"%d" % number))
        exchange = await service.take_next()
        assert service.taken[-1][1] == b"%d" % number
        exchange.respond(201, HEADERS, b"answer %d" % number)
        assert await response(reader) == (201, b"answer %d" % number)
    assert service.handled == []
    assert b'route="/pay",status="201"} 3.0' in service.metrics.exposition()
    writer.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        post(b"x", "Connection: close"),
        post(b"x", version="1.0"),
        post(b"x", path="/other"),
        post(b"x", "X-Unknown: yes"),
        b"POST /pay HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ],
    ids=["last", "HTTP/1.0", "another address", "not let pass at once", "chunked"],
)
async def test_what_is_not_plain_has_its_ordinary_handler(service: Service, request_bytes: bytes) -> None:
    reader, writer = await service.connect()
    writer.write(request_bytes)
    assert (await reader.readuntil(b"\r\n")).split()[1] == b"200"
    assert await reader.readuntil(b"handled")
    assert (service.taken, service.handled) == ([], [b"x"])
    writer.close()


async def test_a_body_in_parts_has_its_ordinary_handler_and_the_next_request_is_taken(service: Service) -> None:
    reader, writer = await service.connect()
    writer.write(post(b"body")[:-3])
    await until(lambda: is_busy(service), SOON)
    writer.write(b"ody")
    assert await response(reader) == (200, b"handled")
    writer.write(post(b"next"))
    (await service.take_next()).respond(201, HEADERS, b"next")
    assert await response(reader) == (201, b"next")
    writer.close()


async def is_busy(service: Service) -> bool:
    assert service.runner.server is not None
    return any(connection._request_in_progress for connection in service.runner.server.connections)


async def test_who_may_not_pass_is_told_so_by_the_guard(service: Service) -> None:
    reader, writer = await service.connect()
    writer.write(post(b"x", "X-Unknown: yes", "X-Stranger: yes"))
    status, body = await response(reader)
    assert (status, json.loads(body)["detail"]) == (401, "who are you?")
    writer.close()


def refuse(_: Exchange) -> bool:
    return False


def break_down(_: Exchange) -> bool:
    raise Problem(429, "rate-limited", "too many")


@pytest.mark.parametrize("take", [refuse, break_down])
async def test_a_request_that_is_not_taken_has_its_ordinary_handler(
    service: Service, take: Callable[[Exchange], bool]
) -> None:
    service.take = take
    reader, writer = await service.connect()
    for _ in range(2):
        writer.write(post(b"x"))
        assert await response(reader) == (200, b"handled")
    assert service.handled == [b"x", b"x"]
    writer.close()


async def test_requests_that_come_meanwhile_wait_for_their_turn(service: Service) -> None:
    reader, writer = await service.connect()
    writer.write(post(b"first"))
    exchange = await service.take_next()
    writer.write(post(b"second") + post(b"third")[:-2])
    await until(lambda: are_queued(service, 2), SOON)
    assert service.handled == []
    exchange.respond(201, HEADERS, b"first")
    assert await response(reader) == (201, b"first")
    assert await response(reader) == (200, b"handled")
    writer.write(b"rd")
    assert await response(reader) == (200, b"handled")
    assert service.handled == [b"second", b"third"]
    writer.close()


async def test_a_head_that_came_twice_is_parsed_no_more(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = await service.connect()
    parsed: list[bytes] = []
    data_received = web.RequestHandler.data_received

    def note(connection: web.RequestHandler, data: bytes) -> None:
        parsed.append(data)
        data_received(connection, data)

    monkeypatch.setattr(web.RequestHandler, "data_received", note)
    for number in range(4):
        writer.write(post(b"%d" % number))
        (await service.take_next()).respond(201, HEADERS, b"%d" % number)
        assert await response(reader) == (201, b"%d" % number)
    assert [data for data in parsed if data] == [post(b"0"), post(b"1")]
    writer.close()


async def keep_head(service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Have the head of a post of four bytes kept."""
    for body in (b"once", b"more"):
        writer.write(post(body))
        (await service.take_next()).respond(201, HEADERS, body)
        assert await response(reader) == (201, body)


async def connect_with_kept_head(service: Service) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await service.connect()
    await keep_head(service, reader, writer)
    return reader, writer


async def test_a_body_that_follows_its_head_makes_an_exchange(service: Service) -> None:
    reader, writer = await connect_with_kept_head(service)
    writer.write(post(b"body")[:-4])
    await until(lambda: is_holding(service), SOON)
    writer.write(b"body")
    (await service.take_next()).respond(201, HEADERS, b"taken")
    assert await response(reader) == (201, b"taken")
    assert (service.taken[-1][1], service.handled) == (b"body", [])
    writer.close()


async def test_a_body_that_does_not_come_soon_is_awaited_by_its_ordinary_handler(service: Service) -> None:
    reader, writer = await connect_with_kept_head(service)
    writer.write(post(b"body")[:-4])
    await until(lambda: is_busy(service), SOON)
    writer.write(b"body")
    assert await response(reader) == (200, b"handled")
    await keep_head(service, reader, writer)
    assert service.handled == [b"body"]
    writer.close()


async def is_holding(service: Service) -> bool:
    return bool(service.connection()._beginning)


@pytest.mark.parametrize("busy", [True, False])
async def test_the_bytes_of_a_kept_head_within_another_are_that_ones(service: Service, *, busy: bool) -> None:
    reader, writer = await connect_with_kept_head(service)
    if busy:
        writer.write(post(b"first"))
        first = await service.take_next()
    begun = b"POST /pay HTTP/1.1\r\nX-Line: "
    writer.write(begun)
    await until(lambda: has_lost_its_place(service), SOON)
    if busy:
        first.respond(201, HEADERS, b"first")
        assert await response(reader) == (201, b"first")
    writer.write(post(b"next"))
    exchange = await service.take_next()
    assert exchange.request.headers["X-Line"] == "POST /pay HTTP/1.1"
    exchange.respond(201, HEADERS, b"next")
    assert await response(reader) == (201, b"next")
    writer.close()


async def has_lost_its_place(service: Service) -> bool:
    return service.connection()._bytes_to_come is None


async def test_a_first_request_whose_head_is_kept_is_no_silence(service: Service) -> None:
    reader, writer = await connect_with_kept_head(service)
    writer.close()
    await until(lambda: are_open(service, 0), SOON)
    reader, writer = await service.connect()
    writer.write(post(b"soon"))
    (await service.take_next()).respond(201, HEADERS, b"soon")
    assert await response(reader) == (201, b"soon")
    service.connection()._close_if_silent()  # type: ignore[attr-defined]
    assert service.bounds.silent == 0
    writer.close()


async def are_queued(service: Service, count: int) -> bool:
    return len(service.connection()._messages) == count


async def test_requests_that_come_together_are_answered_in_order(service: Service) -> None:
    reader, writer = await service.connect()
    writer.write(post(b"first") + post(b"second"))
    assert [await response(reader), await response(reader)] == [(200, b"handled")] * 2
    assert (service.taken, service.handled) == ([], [b"first", b"second"])
    writer.close()


async def test_more_requests_than_may_queue_stop_the_reading_until_it_is_their_turn(service: Service) -> None:
    reader, writer = await service.connect()
    writer.write(post(b"first"))
    exchange = await service.take_next()
    bodies = [b"%d" % number for number in range(100)]
    writer.write(b"".join(map(post, bodies)))
    await until(lambda: is_held(service), SOON)
    exchange.respond(201, HEADERS, b"first")
    assert [await response(reader) for _ in range(101)] == [(201, b"first")] + [(200, b"handled")] * 100
    assert service.handled == bodies
    writer.close()


async def is_held(service: Service) -> bool:
    return service.connection()._buffer_paused


async def test_a_client_that_goes_away_meanwhile_leaves_nothing_behind(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await service.connect()
    writer.write(post(b"x"))
    exchange = await service.take_next()
    writer.transport.abort()
    await until(lambda: are_open(service, 0), SOON)
    with capture_logs() as logs:
        exchange.respond(201, HEADERS, b"nobody reads this")
        await until(lambda: is_forgotten(service), SOON)
    assert (logs, caplog.text) == ([], "")
    assert b'route="/pay",status="201"} 1.0' in service.metrics.exposition()


async def are_open(service: Service, count: int) -> bool:
    return service.bounds.open == count


async def is_forgotten(service: Service) -> bool:
    return service.runner.server is not None and not service.runner.server.connections


async def test_a_shutdown_waits_for_the_response_and_ends_the_connection(service: Service) -> None:
    reader, writer = await service.connect()
    writer.write(post(b"x"))
    exchange = await service.take_next()
    connection = service.connection()
    cleanup = asyncio.create_task(service.runner.cleanup())
    await until(lambda: is_ending(connection), SOON)
    exchange.respond(201, HEADERS, b"the last")
    assert await response(reader) == (201, b"the last")
    assert await reader.read() == b""
    await cleanup
    writer.close()


async def is_ending(connection: ExchangeConnection) -> bool:
    return connection._handler_waiter is not None


@pytest.mark.parametrize("service", [0.01], indirect=True)
async def test_a_connection_is_not_idle_while_its_request_is_under_way(service: Service) -> None:
    reader, writer = await service.connect()
    writer.write(post(b"x"))
    exchange = await service.take_next()
    await until(lambda: has_no_timer(service), SOON)
    exchange.respond(201, HEADERS, b"late")
    assert await response(reader) == (201, b"late")
    assert await reader.read() == b"", "and then it is"
    writer.close()


async def has_no_timer(service: Service) -> bool:
    return service.connection()._keepalive_handle is None


async def test_who_does_not_read_is_sent_one_response_more_and_then_waited_for(service: Service) -> None:
    body = b"x" * 2**20

    def take(exchange: Exchange) -> bool:
        service.taken.append((exchange, exchange.body()))
        exchange.respond(201, HEADERS, body)
        return True

    service.take = take
    reader, writer = await service.connect()
    while not service.handled:
        writer.write(post(b"x"))
        await until(partial(are_answered, service, len(service.taken) + 1), SOON)
    writer.write(post(b"waits"))
    await until(lambda: are_queued(service, 1), SOON)
    for _ in service.taken:
        assert await response(reader) == (201, body)
    assert [await response(reader), await response(reader)] == [(200, b"handled")] * 2
    writer.close()


async def are_answered(service: Service, count: int) -> bool:
    return len(service.taken) + len(service.handled) == count


async def test_an_error_is_answered_with_its_problem(service: Service) -> None:
    reader, writer = await service.connect()
    writer.write(post(b"x", "X-Request-ID: mine"))
    exchange = await service.take_next()
    exchange.fail(Problem(503, "outcome-unknown", "it may be there", headers={"Retry-After": "5"}))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    for line in (b"Content-Type: application/problem+json", b"Retry-After: 5", b"X-Request-ID: mine"):
        assert line in head.split(b"\r\n")
    writer.close()

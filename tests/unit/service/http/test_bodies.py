"""Bodies: their limits of size and time, and their media types."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import hdrs, web

from service.http.bodies import BodyBudget, media_type, read_body
from service.http.inflation import MAX_MEMBERS, Inflation
from service.http.middleware import make_middleware
from service.http.problems import Problem
from service.metrics import Metrics

Send = Callable[..., object]

LIMIT = 4
LONG_LIMIT = 200


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
        limit = LONG_LIMIT if hdrs.CONTENT_ENCODING in request.headers else LIMIT
        return web.Response(body=await read_body(request, limit, seconds=0.2))

    app = web.Application(middlewares=[make_middleware(Metrics(), anybody)])
    app.add_routes([web.post("/", echo)])
    # Without lingering, the end of a response is the connection's: nobody sends the rest of a body here.
    runner = web.AppRunner(app, lingering_time=0, auto_decompress=False)
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


def compressed(coding: str, body: bytes) -> bytes:
    return b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding.encode(), len(body)) + body


WHOLE = b"0123456789" * (LONG_LIMIT // 10)
GZIP, ZLIB, BARE = gzip.compress(WHOLE, mtime=0), zlib.compress(WHOLE), zlib.compress(WHOLE, wbits=-15)
EMPTY = gzip.compress(b"", mtime=0)


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        pytest.param("gzip", GZIP, 200, id="gzip"),
        pytest.param("X-GZIP", GZIP, 200, id="x-gzip"),
        pytest.param("gzip", EMPTY + GZIP, 200, id="two-files"),
        pytest.param("deflate", ZLIB, 200, id="deflate"),
        pytest.param("deflate", BARE, 200, id="bare"),
        pytest.param("identity", WHOLE, 200, id="identity"),
        pytest.param("gzip", b"", 200, id="nothing"),
        pytest.param("gzip", gzip.compress(WHOLE + b"!", mtime=0), 413, id="one-more"),
        pytest.param("gzip", GZIP + gzip.compress(b"!", mtime=0), 413, id="one-more-in-another-file"),
        pytest.param("gzip", gzip.compress(bytes(100_000), mtime=0), 413, id="bomb"),
        pytest.param("gzip", GZIP[:-1], 400, id="gzip-without-end"),
        pytest.param("gzip", GZIP[:15], 400, id="half"),
        pytest.param("gzip", GZIP[:-8] + bytes(8), 400, id="another-checksum"),
        pytest.param("gzip", GZIP + b"more", 400, id="gzip-and-more"),
        pytest.param("gzip", WHOLE, 400, id="no-gzip"),
        pytest.param("deflate", ZLIB[:-1], 400, id="deflate-without-end"),
        pytest.param("deflate", BARE[:-1], 400, id="bare-without-end"),
        pytest.param("deflate", BARE + b"more", 400, id="bare-and-more"),
        pytest.param("br", WHOLE, 415, id="br"),
        pytest.param("zstd", WHOLE, 415, id="zstd"),
        pytest.param("aes128gcm", WHOLE, 415, id="unheard-of"),
        pytest.param("gzip, gzip", gzip.compress(GZIP, mtime=0), 415, id="twice"),
        pytest.param("gzip\r\nContent-Encoding: gzip", gzip.compress(GZIP, mtime=0), 415, id="twice-in-two-lines"),
    ],
)
@pytest.mark.parametrize("parts", [1, 5])
async def test_a_compressed_body_is_taken_where_it_is_whole_and_its_coding_is_one_of_ours(
    port: int, coding: str, body: bytes, status: int, parts: int
) -> None:
    request = compressed(coding, body)
    size = -(-len(request) // parts)
    response = await exchange(port, *(request[at : at + size] for at in range(0, len(request), size)))
    head, _, content = response.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert status != 200 or content == (WHOLE if body else b"")
    assert status != 415 or b"Accept-Encoding: gzip, deflate" in head


def test_files_one_after_the_other_have_a_limit_of_their_number() -> None:
    inflation = Inflation(31)
    assert inflation.inflate(EMPTY * MAX_MEMBERS, 1) == b""
    with pytest.raises(Problem):
        inflation.inflate(EMPTY, 1)

"""Responses that every room makes: JSON, problem details, and receipts."""

import functools
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, cast

import msgspec
from aiohttp import ClientConnectionResetError, HttpVersion11, hdrs, web

from service.http import request_ids, security_headers
from service.http.bodies import JSON
from service.http.forwarded import by_https
from service.http.problems import MEDIA_TYPE, Problem

Headers = tuple[tuple[str, str], ...]


def json_response(body: object) -> web.Response:
    """Make a 200 with JSON from anything that msgspec encodes."""
    return web.Response(body=msgspec.json.encode(body), headers={"Content-Type": JSON})


def problem_response(problem: Problem) -> web.Response:
    """Make an application/problem+json response, with the problem's status and headers."""
    return web.Response(
        body=msgspec.json.encode(problem.members),
        status=problem.status,
        headers={"Content-Type": MEDIA_TYPE, **problem.headers},
    )


def created_response(request: web.Request, body: bytes, headers: Headers) -> web.StreamResponse:
    """Make a 201; `headers` are one of few sets that never change, with the content type."""
    if request.version == HttpVersion11 and request.keep_alive:
        return _SingleWrite(headers, body)
    return web.Response(body=body, status=201, headers=headers)


def serialised(request: web.Request, status: int, headers: Headers, body: bytes) -> bytes:
    """Write a response as it goes over the wire: to a request over HTTP/1.1, on a connection that goes on.

    aiohttp (3.14) makes a dictionary of headers for each response, runs its signals and serialises it: half of all that
    such a request costs. Here a head is made once for each set of `headers`, of which there are few.
    """
    request_id = request[request_ids.REQUEST_ID_KEY].encode()
    head = _head(status, headers, by_https(request))
    return b"%b%b\r\nX-Request-ID: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        head,
        _date(int(time.time())),
        request_id,
        len(body),
        body,
    )


class _SingleWrite(web.StreamResponse):
    """A 201 that is sent in one write: overriding `prepare` and `write_eof` is the way around aiohttp's own."""

    def __init__(self, headers: Headers, body: bytes) -> None:  # super().__init__ would make what is to be spared
        self._head = headers
        self._content = body

    @property
    def status(self) -> int:
        return 201

    @property
    def keep_alive(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> Any:
        """Send the response; raises ClientConnectionResetError where the client has gone."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ClientConnectionResetError("the client has closed the connection")
        transport.write(serialised(cast("web.Request", request), self.status, self._head, self._content))
        await request.writer.drain()

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: `prepare` has sent all."""


@functools.lru_cache(maxsize=256)
def _head(status: int, headers: Headers, https: bool) -> bytes:  # noqa: FBT001 - for the cache
    """Write a response's head, as far as the header Date."""
    names = {name.lower() for name, _ in headers}
    lines = [*headers, *(default for default in security_headers.DEFAULTS if default[0].lower() not in names)]
    lines.append((hdrs.SERVER, security_headers.SERVER))
    if https:
        lines.append((security_headers.TRANSPORT_NAME, security_headers.TRANSPORT))
    text = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{text}Date: ".encode()


@functools.lru_cache(maxsize=1)
def _date(seconds: int) -> bytes:
    """Write a Unix time as the header Date has it."""
    return formatdate(seconds, usegmt=True).encode()

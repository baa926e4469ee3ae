"""Requests as fast as they are answered, over some connections: a generator that costs less than what it measures."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from typing import cast

from schemas.errors import UndertenError

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_END = b"\r\n\r\n"


class RequestRefused(UndertenError):
    """An answer that is no success: what was measured would be something else."""


class Connection(asyncio.Protocol):
    """A connection: the next request goes out when the last one is answered."""

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self.answered = 0
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._until = until
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not one by inheritance
        self._send()

    def data_received(self, data: bytes) -> None:
        """Go on once the answer is whole."""
        self._received += data
        head = self._received.find(_END)
        if head < 0:
            return
        length = _LENGTH.search(self._received, 0, head + 2)
        if length is None or len(self._received) < head + len(_END) + int(length[1]):
            return
        if not self._received.startswith(b"HTTP/1.1 2"):
            self._end(RequestRefused(self._received[:300].decode(errors="replace")))
        elif time.monotonic() >= self._until:
            self._end()
        else:
            self._send()
        self._received = b""
        self.answered += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """End, whoever closed it."""
        if not self.end.done():
            self.end.set_exception(exc or RequestRefused("the connection was closed"))

    def _send(self) -> None:
        following = next(self._requests, None)
        if following is None:
            self._end(RequestRefused("there were too few requests for that time"))
        else:
            self._transport.write(following)

    def _end(self, error: Exception | None = None) -> None:
        if error is None:
            self.end.set_result(None)
        else:
            self.end.set_exception(error)
        self._transport.close()


def request(path: str, content_type: str, body: bytes) -> bytes:
    """A POST as it goes over the wire."""
    head = f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"
    return "\r\n".join([*head, "", ""]).encode() + body


async def answered(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> int:
    """Count the answers from 127.0.0.1:`port` in that time, each request sent once; raises RequestRefused, OSError."""
    loop, unsent = asyncio.get_running_loop(), iter(requests)
    began = time.monotonic()
    protocols = [
        (await loop.create_connection(lambda: Connection(unsent, began + seconds), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.end for protocol in protocols))
    return sum(protocol.answered for protocol in protocols)

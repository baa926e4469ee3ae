"""Heads of requests that come again: most clients send the same one with each payment, byte for byte.

What aiohttp's parser has made of a head holds whenever the same bytes come again where a request begins. A client that
puts an id into each request has its heads parsed each time: one is kept once it has come twice in a row.
"""

from dataclasses import dataclass

from aiohttp.http import RawRequestMessage

MAX_HEADS = 1024
MAX_HEAD_BYTES = 4096
MAX_REQUEST_BYTES = 65_536
"""Heads of longer requests are not kept: parsing them is little beside reading the rest."""
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """A parsed head. `size` is its own in bytes, `whole_size` that of the request with its body."""

    message: RawRequestMessage
    size: int
    whole_size: int


class Heads:
    """Parsed heads by their bytes."""

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}

    def find(self, data: bytes) -> Head | None:
        """Find the head of data that are one request, or the beginning of one, if it is kept."""
        head = self._heads.get(data[: data.find(_END) + len(_END)])
        return head if head is not None and len(data) <= head.whole_size else None

    def keep(self, text: bytes, message: RawRequestMessage, body_size: int) -> None:
        """Keep a head, unless it or its request is large."""
        if len(text) > MAX_HEAD_BYTES or len(text) + body_size > MAX_REQUEST_BYTES:
            return
        if len(self._heads) >= MAX_HEADS:
            self._heads.clear()
        self._heads[text] = Head(message, len(text), len(text) + body_size)


def head_of(data: bytes, body_size: int) -> bytes | None:
    """The head of data in which the parser has found one request with a body of this size, whole or not.

    None where the data might be more than that: it is not sure then where the next request begins.
    """
    size = data.find(_END) + len(_END)
    is_one = len(data) <= size + body_size and data.count(b"\n", 0, size) == data.count(b"\r\n", 0, size)
    return data[:size] if is_one else None

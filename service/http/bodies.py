"""Request bodies, read within limits of size and time, and their media types."""

import asyncio
import functools
from email.message import EmailMessage

from aiohttp import hdrs, web

from service.http.inflation import Inflation, inflation_of
from service.http.problems import Problem, too_large

JSON = "application/json"
NDJSON = "application/x-ndjson"


@functools.lru_cache(maxsize=256)
def media_type(content_type: str) -> tuple[str, str]:
    """Parse a Content-Type header into (type, charset), both in lower case; charset is utf-8 where none is named."""
    message = EmailMessage()
    try:
        message["Content-Type"] = content_type
    except (IndexError, ValueError):
        # email raises these for a parameter that ends too early, such as `charset*`, and for Unicode's line breaks.
        return "", ""
    charset = message.get_param("charset", "utf-8")
    return message.get_content_type(), str(charset).lower()


async def read_body(request: web.Request, limit: int, seconds: float) -> bytes:
    """Read the whole body, inflated.

    Raises Problem: 413 above `limit` bytes, 408 if it has not arrived within `seconds`, 400 or 415 where it is
    compressed and cannot be inflated.
    """
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    content, inflation = request.content, None
    if hdrs.CONTENT_ENCODING in request.headers:
        inflation = inflation_of(request)
    if content.is_eof() and inflation is None:
        body = content.read_nowait(-1)
    else:
        try:
            async with asyncio.timeout(seconds):
                body = await _read_at_most(request, limit, inflation)
        except TimeoutError:
            raise Problem(
                408, "slow-body", f"the body did not arrive within {seconds:g} s; nothing was accepted"
            ) from None
    if len(body) > limit:
        raise too_large(limit)
    return body


async def _read_at_most(request: web.Request, limit: int, inflation: Inflation | None) -> bytes:
    body = bytearray()
    while chunk := await request.content.readany():
        body += inflation.inflate(chunk, limit + 1 - len(body)) if inflation else chunk
        if len(body) > limit:
            return bytes(body)
    if inflation is not None:
        inflation.end()
    return bytes(body)


class BodyBudget:
    """Bound on the bytes of batch bodies that are in memory at once."""

    def __init__(self, limit: int) -> None:
        self._free_bytes = limit

    def take(self, size: int) -> None:
        """Reserve so many bytes, until `give_back`; raises Problem, 503 with Retry-After, where there is no room."""
        if size > self._free_bytes:
            raise Problem(
                503,
                "too-many-in-flight",
                "too many batches are being read; nothing of this one was accepted",
                title="Too many payments in flight",
                headers={"Retry-After": "1"},
            )
        self._free_bytes -= size

    def give_back(self, size: int) -> None:
        """Free bytes that were reserved."""
        self._free_bytes += size


BODY_BUDGET = web.AppKey("body_budget", BodyBudget)

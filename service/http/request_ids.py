"""Request ids: one for each HTTP request, in its response, in the log, and in the headers of its Kafka records."""

import re
from contextvars import ContextVar
from itertools import count
from secrets import token_hex

from aiohttp import web
from multidict import istr
from structlog.contextvars import STRUCTLOG_KEY_PREFIX

from schemas.kafka.topics import REQUEST_ID

HEADER = istr("X-Request-ID")
REQUEST_ID_KEY = web.RequestKey("request_id", str)

_is_acceptable = re.compile(r"[!-~]{1,128}").fullmatch
# One number more is several times cheaper than another UUID.
_process, _numbers = token_hex(8), count(1)
# Set as structlog's bind_contextvars would, at a tenth of the time.
_in_log_lines: ContextVar[str] = ContextVar(f"{STRUCTLOG_KEY_PREFIX}request_id")


def identify(request: web.Request) -> str:
    """Give a request its id: the client's own if that is 1 to 128 visible characters of ASCII; else a new one."""
    client_id = request.headers.get(HEADER)
    request_id = client_id if client_id and _is_acceptable(client_id) else f"{_process}-{next(_numbers)}"
    request[REQUEST_ID_KEY] = request_id
    _in_log_lines.set(request_id)
    return request_id


async def add_header(request: web.Request, response: web.StreamResponse) -> None:
    """Put the id into a response; for `on_response_prepare`. aiohttp answers some requests before any middleware."""
    response.headers[HEADER] = request.get(REQUEST_ID_KEY) or identify(request)


def record_headers(request: web.Request) -> list[tuple[str, bytes]]:
    """Make the headers of the Kafka records that a request leads to."""
    return [(REQUEST_ID, request[REQUEST_ID_KEY].encode())]

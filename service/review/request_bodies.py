"""Bodies and headers of requests that change the queue, read and checked; whatever is wrong is a Problem."""

import re
from typing import TypeVar

import msgspec
from aiohttp import web

from schemas.errors import DECODE_ERRORS
from schemas.payment import payment_error
from service.access.authentication import IDENTITY
from service.http.bodies import JSON, media_type, read_body
from service.http.problems import ErrorItem, Problem
from service.settings import SETTINGS

MAX_BODY_BYTES = 64 * 1024
_ETAG = re.compile(r'(?:W/)?"?([0-9]{1,16})"?')

S = TypeVar("S", bound=msgspec.Struct)


async def read_body_as(request: web.Request, kind: type[S]) -> S:
    """Decode the body; raises Problem that names the field at fault."""
    if media_type(request.headers.get("Content-Type", ""))[0] != JSON:
        raise Problem(415, "unsupported-media-type", f"a decision is {JSON}", headers={"Accept": JSON})
    body = await read_body(request, MAX_BODY_BYTES, request.app[SETTINGS].service.body_timeout)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        violation = payment_error(error)
        raise invalid(violation.field, violation.reason) from None
    except DECODE_ERRORS as error:
        raise Problem(400, "malformed-decision", str(error), title="Malformed decision") from None


def reviewer_of(request: web.Request, name: str) -> str:
    """Return the token's name, or else `name`, the body's; raises Problem where both differ."""
    identity = request.get(IDENTITY)
    if identity is None:
        return name
    if name not in {"", identity.name}:
        raise invalid("reviewer", f"is the token's, {identity.name}: leave it out")
    return str(identity.name)


def invalid(field: str | None, detail: str) -> Problem:
    """Make a 422 that names the field at fault."""
    errors = [ErrorItem(detail, pointer=f"#/{field}")] if field else None
    text = f"{field}: {detail}" if field else detail
    return Problem(422, "invalid-decision", text, title="Invalid decision", field=field, errors=errors)


def if_match(request: web.Request) -> int | None:
    """Return the version in If-Match (RFC 9110, section 13.1.1), None without one."""
    text = request.headers.get("If-Match", "*").strip()
    if text == "*":
        return None
    version = _ETAG.fullmatch(text)
    if version is None:
        raise Problem(400, "malformed-request", 'If-Match is not a version, such as "170002", nor *')
    return int(version[1])

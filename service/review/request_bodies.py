"""Bodies and headers of requests that change the queue, read and checked; whatever is wrong is a Problem."""

import re
from typing import TypeVar

import msgspec
from aiohttp import web

from schemas.errors import DECODE_ERRORS, PaymentError
from schemas.payment import members, payment_error, unseen
from service.access.authentication import IDENTITY
from service.http.bodies import JSON, media_type, read_body
from service.http.problems import ErrorItem, Problem
from service.settings import SETTINGS

MAX_BODY_BYTES = 64 * 1024
_ETAG = re.compile(r'(?:W/)?"?([0-9]{1,16})"?')

_NAMES = ("reviewer", "assignee")

S = TypeVar("S", bound=msgspec.Struct)


async def read_body_as(request: web.Request, kind: type[S]) -> S:
    """Decode the body; raises Problem that names the field at fault."""
    if media_type(request.headers.get("Content-Type", ""))[0] != JSON:
        raise Problem(415, "unsupported-media-type", f"a decision is {JSON}", headers={"Accept": JSON})
    return decode_body(await read_body(request, MAX_BODY_BYTES, request.app[SETTINGS].service.body_timeout), kind)


def decode_body(body: bytes, kind: type[S]) -> S:
    """Decode bytes; raises Problem that names the field at fault."""
    try:
        decoded = msgspec.json.decode(body, type=kind)
        members(body)
    except PaymentError as error:
        raise invalid(error.field, error.reason) from None
    except msgspec.ValidationError as error:
        violation = payment_error(error)
        raise invalid(violation.field, violation.reason) from None
    except (*DECODE_ERRORS, ValueError) as error:
        reason = payment_error(error, body).reason
        raise Problem(400, "malformed-decision", reason, title="Malformed decision") from None
    _check_names(decoded)
    return decoded


def _check_names(body: msgspec.Struct) -> None:
    """Raises Problem for the name of a person that looks like another one's, or like none."""
    for field in _NAMES:
        if char := unseen(getattr(body, field, None) or ""):
            raise invalid(field, f"holds a character that nobody sees, U+{ord(char):04X}")


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

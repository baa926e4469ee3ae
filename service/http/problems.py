"""Errors as RFC 9457 problem details (application/problem+json), for every response that is not a success.

`Problem` is raised anywhere below a handler; the middleware (see `middleware`) turns it, the errors of
`schemas.errors`, aiohttp's own 404, 405 and 413, and whatever nobody expected, into such a response.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from schemas.errors import BrokerError, PaymentError, RegistryUnavailable, UndecodableError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:problem-type:underten:"

log = structlog.get_logger(__name__)


class ErrorItem(msgspec.Struct, omit_defaults=True):
    """A fault in the request: `pointer` is a JSON pointer into the body, `parameter` the name of a query parameter."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(Exception):
    """An error that the client is told of; `members` are the response's JSON (RFC 9457, section 3)."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        """Make a problem.

        `kind` ends the problem's type: short, in words joined by hyphens; it never changes its meaning. `extensions`
        are further members (RFC 9457, section 3.2), such as `field`, the one at fault, and `errors`; None is left out.
        """
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})
        self.members: dict[str, Any] = {
            "type": TYPE_PREFIX + kind,
            "title": title or HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            **{name: value for name, value in extensions.items() if value is not None},
        }


def invalid_payment(error: PaymentError) -> Problem:
    """Make a 400 for bytes that are not the format they claim to be, a 422 for a payment that breaks a rule."""
    errors = [ErrorItem(error.reason, pointer=f"#/{error.field}")] if error.field else None
    malformed = isinstance(error, UndecodableError)
    return Problem(
        400 if malformed else 422,
        "malformed-payment" if malformed else "invalid-payment",
        str(error),
        title="Malformed payment" if malformed else "Invalid payment",
        field=error.field,
        errors=errors,
    )


def invalid_parameter(name: str, detail: str, *, status: int = 422) -> Problem:
    """Make a 422 for a query parameter that does not make sense; `status` 400 where it cannot even be read."""
    return Problem(
        status,
        "invalid-parameter",
        f"{name}: {detail}",
        title="Invalid parameter",
        field=name,
        errors=[ErrorItem(detail, parameter=name)],
    )


def unavailable(kind: str, detail: str, *, retry_after: int = 1, title: str | None = None) -> Problem:
    """Make a 503 with Retry-After, in seconds."""
    return Problem(503, kind, detail, title=title, headers={"Retry-After": str(retry_after)})


def too_large(limit: int, part: str = "body") -> Problem:
    """Make a 413 for a part of the request above `limit` bytes."""
    return Problem(413, "too-large", f"the {part} is larger than {limit} bytes; nothing was accepted")


def from_exception(error: Exception) -> Problem:  # noqa: PLR0911 - one line for each kind of error
    """Turn an error into a problem; one that nobody expected is logged, and the client learns no more of it."""
    match error:
        case Problem():
            return error
        case PaymentError():
            return invalid_payment(error)
        case RegistryUnavailable():
            return unavailable("registry-unavailable", str(error), retry_after=2)
        case BrokerError():
            return unavailable("kafka-unavailable", str(error), retry_after=2)
        case web.HTTPException():
            return _from_aiohttp(error)
        case HttpProcessingError() | ClientPayloadError() | web.RequestPayloadError():
            return Problem(400, "malformed-request", "the request's body cannot be read as its headers announce it")
    log.error("unexpected error", exc_info=error)
    return Problem(500, "internal-error", "an unexpected error; it was logged, with the request id of this answer")


def _from_aiohttp(error: web.HTTPException) -> Problem:
    headers = {name: value for name, value in error.headers.items() if name in ("Allow", "Location", "Retry-After")}
    match error:
        case web.HTTPNotFound():
            return Problem(404, "not-found", "there is nothing at this address; /docs lists what there is")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return Problem(405, "method-not-allowed", f"{error.method} is not allowed here: {allowed}", headers=headers)
        case web.HTTPRequestEntityTooLarge():
            return Problem(413, "too-large", "the body is too large; nothing was accepted")
    return Problem(error.status, "http-error", error.reason, headers=headers)

"""Errors as RFC 9457 problem details (application/problem+json), for every answer that is not a success.

`Problem` is raised anywhere below a view; the middleware (see `middleware`) turns it, the errors of `schemas.errors`,
aiohttp's own 404, 405 and 413, and whatever nobody expected, into such an answer.
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
    """One of the things that were wrong: `pointer` is a JSON pointer into the body, `parameter` a query parameter."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class ProblemBody(msgspec.Struct, omit_defaults=True):
    """The members of a problem (RFC 9457, section 3.1), and ours: `field` is the field or parameter at fault."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    errors: list[ErrorItem] | None = None
    checks: dict[str, Any] | None = None
    case: dict[str, Any] | None = None


class Problem(Exception):
    """An error that the client is told of."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        title: str | None = None,
        field: str | None = None,
        errors: list[ErrorItem] | None = None,
        headers: Mapping[str, str] | None = None,
        checks: dict[str, Any] | None = None,
        case: dict[str, Any] | None = None,
    ) -> None:
        """`kind` ends the problem's type: short, in words joined by hyphens; it never changes its meaning."""
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})
        self.body = ProblemBody(
            type=TYPE_PREFIX + kind,
            title=title or HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            field=field,
            errors=errors,
            checks=checks,
            case=case,
        )


def invalid_payment(error: PaymentError) -> Problem:
    """400 for bytes that are not the format they claim to be, 422 for a payment that may not be."""
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
    """A query parameter that does not make sense: 422, or 400 where it cannot even be read."""
    return Problem(
        status,
        "invalid-parameter",
        f"{name}: {detail}",
        title="Invalid parameter",
        field=name,
        errors=[ErrorItem(detail, parameter=name)],
    )


def unavailable(kind: str, detail: str, *, retry_after: int = 1, title: str | None = None) -> Problem:
    """503 with Retry-After, in seconds."""
    return Problem(503, kind, detail, title=title, headers={"Retry-After": str(retry_after)})


def too_large(limit: int, what: str = "body") -> Problem:
    """413."""
    return Problem(413, "too-large", f"the {what} is larger than {limit} bytes; nothing was accepted")


def response(problem: Problem) -> web.Response:
    """The problem as an answer."""
    return web.Response(
        body=msgspec.json.encode(problem.body),
        status=problem.status,
        headers={"Content-Type": MEDIA_TYPE, **problem.headers},
    )


def from_exception(error: Exception) -> Problem:  # noqa: PLR0911 - one line for each kind of error
    """What the client is told of an error; one that nobody expected is logged, and the client learns no more."""
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

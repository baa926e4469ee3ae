"""Problems: each error's status, type, and members."""

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from schemas.errors import BrokerError, PaymentError, RegistryUnavailable, UndecodableError
from service.http.problems import Problem, from_exception, invalid_parameter, invalid_payment
from service.http.responses import problem_response


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (PaymentError("must be above 0", "payment_amount"), 422, "invalid-payment"),
        (UndecodableError("no JSON"), 400, "malformed-payment"),
        (RegistryUnavailable("away"), 503, "registry-unavailable"),
        (BrokerError("away"), 503, "kafka-unavailable"),
        (web.HTTPNotFound(), 404, "not-found"),
        (web.HTTPMethodNotAllowed("PUT", ["GET", "POST"]), 405, "method-not-allowed"),
        (web.HTTPRequestEntityTooLarge(1, 2), 413, "too-large"),
        (web.RequestPayloadError("cut"), 400, "malformed-request"),
    ],
)
def test_each_expected_error_has_its_status_and_type(error: Exception, status: int, kind: str) -> None:
    with capture_logs() as logs:
        problem = from_exception(error)
    assert (problem.status, problem.members["type"]) == (status, f"urn:problem-type:underten:{kind}")
    assert logs == []


def test_an_unexpected_error_is_logged_and_not_shown() -> None:
    with capture_logs() as logs:
        problem = from_exception(ValueError("secret"))
    assert problem.status == 500
    assert "secret" not in problem.members["detail"]
    assert [line["event"] for line in logs] == ["unexpected error"]


def test_extension_members_stand_beside_the_five_of_the_rfc_and_none_is_left_out() -> None:
    problem = Problem(409, "conflict", "it changed", case={"version": 3}, field=None)
    assert problem.members == {
        "type": "urn:problem-type:underten:conflict",
        "title": "Conflict",
        "status": 409,
        "detail": "it changed",
        "case": {"version": 3},
    }


def test_a_field_at_fault_is_named_as_member_and_as_pointer() -> None:
    members = invalid_payment(PaymentError("must be above 0", "payment_amount")).members
    assert members["field"] == "payment_amount"
    assert [error.pointer for error in members["errors"]] == ["#/payment_amount"]
    assert [error.parameter for error in invalid_parameter("limit", "is above 100").members["errors"]] == ["limit"]


def test_a_problems_headers_and_media_type_are_its_responses() -> None:
    response = problem_response(Problem(429, "rate-limited", "too many", headers={"Retry-After": "7"}))
    assert (response.status, response.headers["Retry-After"]) == (429, "7")
    assert response.content_type == "application/problem+json"

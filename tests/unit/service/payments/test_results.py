"""Results: the response to each outcome, alone and as a line."""

import pytest

from schemas.payment import Payment
from service.http.problems import Problem
from service.payments.results import LineProblem, LineReceipt, line_results, undelivered_problem
from service.producer.outcomes import (
    IdReused,
    NeverAnswered,
    NotAccepted,
    NotDelivered,
    OutcomeUnknown,
    Refused,
    ReplayedReceipt,
    TooLarge,
    TooManyInFlight,
)

PAYMENT = Payment("6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b", "B", 1, 2.5, "ACH", 3)


@pytest.mark.parametrize(
    ("kind", "status", "retry_after"),
    [
        (NotAccepted, 503, "2"),
        (TooManyInFlight, 503, "1"),
        (Refused, 503, "60"),
        (TooLarge, 413, None),
        (OutcomeUnknown, 503, "5"),
        (NeverAnswered, 503, "5"),
        (IdReused, 409, None),
    ],
)
def test_each_outcome_without_a_receipt_has_its_status_and_when_to_retry(
    kind: type[NotDelivered], status: int, retry_after: str | None
) -> None:
    problem = undelivered_problem(kind("why"))
    assert (problem.status, problem.headers.get("Retry-After")) == (status, retry_after)
    assert problem.members["type"].endswith(kind.kind)
    assert problem.members["detail"] == "why"


def test_a_reused_id_is_named_as_the_field_at_fault() -> None:
    assert undelivered_problem(IdReused("why")).members["field"] == "id"


def test_a_line_has_its_receipt_or_the_problem_of_its_payment_or_of_itself() -> None:
    problem = Problem(422, "invalid-payment", "why", field="payment_amount")
    outcomes = [ReplayedReceipt(1, 2, 3), IdReused("why"), NotAccepted("not handed in")]
    receipt, undelivered, invalid = line_results("t", [7, 8, 9], [PAYMENT.id, PAYMENT.id, problem], outcomes)
    assert receipt == LineReceipt(7, 201, PAYMENT.id, "t", 1, 2, 3, replayed=True)
    assert isinstance(undelivered, LineProblem)
    assert (undelivered.line, undelivered.status, undelivered.id, undelivered.field) == (8, 409, PAYMENT.id, "id")
    assert isinstance(invalid, LineProblem)
    assert (invalid.line, invalid.status, invalid.id, invalid.field) == (9, 422, None, "payment_amount")

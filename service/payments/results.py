"""Results of posted payments as HTTP has them: the receipt of a payment, and a line of a batch's response."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from schemas.payment import Payment
from service.http.problems import Problem
from service.producer.outcomes import (
    IdReused,
    NotDelivered,
    Outcome,
    OutcomeUnknown,
    Receipt,
    Refused,
    TooLarge,
    TooManyInFlight,
)


class PaymentReceipt(msgspec.Struct, omit_defaults=True):
    """The receipt of a payment; `timestamp` in ms since the epoch, `payment` only where it was made up here."""

    id: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    replayed: bool = False
    payment: Payment | None = None


class LineReceipt(msgspec.Struct, omit_defaults=True, gc=False):
    """The receipt of one line of a batch; lines are counted from 1."""

    line: int
    status: int
    id: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    replayed: bool = False


class LineProblem(msgspec.Struct, omit_defaults=True):
    """The problem of one line of a batch: the members of a problem, and the line."""

    line: int
    status: int
    type: str
    title: str
    detail: str
    id: str | None = None
    field: str | None = None


class _Response(NamedTuple):
    """The response to an outcome without a receipt; `retry_after` in seconds."""

    status: int
    title: str
    retry_after: int | None = None
    field: str | None = None


_RESPONSES: dict[type[NotDelivered], _Response] = {
    TooManyInFlight: _Response(503, "Too many payments in flight", retry_after=1),
    TooLarge: _Response(413, "Payment too large"),
    Refused: _Response(503, "Refused by Kafka", retry_after=60),
    OutcomeUnknown: _Response(503, "Outcome unknown", retry_after=5),
    IdReused: _Response(409, "Id reused", field="id"),
    NotDelivered: _Response(503, "Payment not accepted", retry_after=2),
}
"""Responses by outcome; the first that an outcome is an instance of counts."""


def undelivered_problem(outcome: NotDelivered) -> Problem:
    """Make the problem of a payment without a receipt."""
    response = next(response for kind, response in _RESPONSES.items() if isinstance(outcome, kind))
    headers = {"Retry-After": str(response.retry_after)} if response.retry_after is not None else {}
    return Problem(
        response.status, outcome.kind, str(outcome), title=response.title, field=response.field, headers=headers
    )


def line_results(
    topic: str, numbers: Sequence[int], lines: Sequence[str | Problem], outcomes: Sequence[Outcome | None]
) -> list[LineReceipt | LineProblem]:
    """Make the results of lines: of each a payment's id, with its outcome, or a problem."""
    return [
        LineReceipt(number, 201, line, topic, outcome.partition, outcome.offset, outcome.timestamp, outcome.replayed)
        if isinstance(outcome, Receipt) and isinstance(line, str)
        else _line_problem(number, line, outcome)
        for number, line, outcome in zip(numbers, lines, outcomes, strict=True)
    ]


def _line_problem(number: int, line: str | Problem, outcome: Outcome | None) -> LineProblem:
    if isinstance(line, Problem):
        problem, payment_id = line, None
    else:
        assert isinstance(outcome, NotDelivered), "a settled delivery has an outcome of each payment"
        problem, payment_id = undelivered_problem(outcome), line
    members = problem.members
    return LineProblem(
        number, problem.status, members["type"], members["title"], members["detail"], payment_id, members.get("field")
    )

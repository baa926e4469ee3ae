"""Batches: their lines, and the number of them."""

import json

import pytest

from schemas.payment import PostedPayment
from service.http.problems import Problem
from service.payments.handlers import _read_line, _split_lines

LINE = {
    "id": "6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b",
    "payee_bank": "B",
    "payee_account_no": 1,
    "payment_amount": 2.5,
    "payment_method": "ACH",
    "payor_account_no": 3,
}


def test_lines_are_numbered_as_they_stand_and_blank_ones_left_out() -> None:
    assert _split_lines(b"a\n\n  \nb\r\nc", 5) == ([1, 4, 5], [b"a", b"b\r", b"c"])


@pytest.mark.parametrize(("body", "status"), [(b"a\nb\nc\n", 413), (b"\n\n", 400), (b"", 400), (b" \n", 400)])
def test_a_batch_of_too_many_lines_or_of_none_is_refused_whole(body: bytes, status: int) -> None:
    with pytest.raises(Problem) as caught:
        _split_lines(body, 2)
    assert caught.value.status == status


def test_a_line_is_a_payment_or_its_own_problem() -> None:
    assert isinstance(_read_line(json.dumps(LINE).encode(), 1000), PostedPayment)
    problems = [_read_line(text, 1000) for text in (b"{", json.dumps({**LINE, "payment_amount": -1}).encode())]
    assert [problem.status for problem in problems if isinstance(problem, Problem)] == [400, 422]
    too_long = _read_line(b" " * 11, 10)
    assert isinstance(too_long, Problem)
    assert too_long.status == 413

"""Lines of a batch: split, numbered, and read together as each would be by itself."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.payment import Payment, PostedPayment
from service.http.problems import Problem
from service.payments.lines import read_line, read_lines, split_lines
from tests.unit.schemas.test_ordinary_payments import LINE, ODD, TEXT

MAX = 1000


def test_lines_are_numbered_as_they_stand_and_blank_ones_left_out() -> None:
    assert split_lines(b"a\n\n  \nb\r\nc", 5) == ([1, 4, 5], [b"a", b"b\r", b"c"])


@pytest.mark.parametrize(("body", "status"), [(b"a\nb\nc\n", 413), (b"\n\n", 400), (b"", 400), (b" \n", 400)])
def test_a_batch_of_too_many_lines_or_of_none_is_refused_whole(body: bytes, status: int) -> None:
    with pytest.raises(Problem) as caught:
        split_lines(body, 2)
    assert caught.value.status == status


def test_a_line_is_a_payment_or_its_own_problem() -> None:
    assert isinstance(read_line(TEXT, MAX), PostedPayment)
    problems = [read_line(text, MAX) for text in (b"{", json.dumps({**LINE, "payment_amount": -1}).encode())]
    assert [problem.status for problem in problems if isinstance(problem, Problem)] == [400, 422]
    too_long = read_line(b" " * 11, 10)
    assert isinstance(too_long, Problem)
    assert too_long.status == 413


def alike(line: Payment | Problem) -> object:
    """A line as it can be compared: a payment by its fields, whatever kind it is."""
    if isinstance(line, Problem):
        return line.status, line.members
    return [getattr(line, name) for name in Payment.__struct_fields__]


def read(batch: list[bytes]) -> list[Payment | Problem]:
    """Read lines, and put payments and problems in their order again."""
    payments, problems = read_lines(batch, MAX)
    rest = iter(payments)
    return [problems[index] if index in problems else next(rest) for index in range(len(batch))]


@pytest.mark.parametrize("odd", ODD)
def test_a_line_that_is_odd_is_read_as_if_it_were_alone(odd: bytes) -> None:
    batch = [TEXT, odd, TEXT]
    assert list(map(alike, read(batch))) == [alike(read_line(line, MAX)) for line in batch]


@given(st.lists(st.sampled_from([TEXT, TEXT, *ODD]), min_size=1, max_size=6))
def test_no_line_is_read_as_a_part_of_another(batch: list[bytes]) -> None:
    assert list(map(alike, read(batch))) == [alike(read_line(line, MAX)) for line in batch]


@given(
    st.lists(st.tuples(st.sampled_from([TEXT, *ODD]), st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=3)
)
def test_whatever_byte_is_another_no_verdict_is(changes: list[tuple[bytes, int, int]]) -> None:
    batch = [line[:at] + bytes([byte]) + line[at + 1 :] for line, at, byte in changes]
    batch = [line for line in batch if b"\n" not in line and line and not line.isspace()]
    assert not batch or list(map(alike, read(batch))) == [alike(read_line(line, MAX)) for line in batch]

"""Lines of a batch: split, numbered, and read together as each would be by itself."""

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.payment import Payment, PostedPayment
from service.http.problems import Problem
from service.payments import lines
from service.payments.lines import read_line, read_lines, split_lines

MAX = 1000
LINE = {
    "id": "6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b",
    "payee_bank": "B",
    "payee_account_no": 1,
    "payment_amount": 2.5,
    "payment_method": "ACH",
    "payor_account_no": 3,
}
TEXT = json.dumps(LINE).encode()


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


def test_ordinary_lines_are_read_together() -> None:
    texts = [json.dumps({**LINE, "id": str(uuid.uuid4()), "payment_amount": cents / 100}) for cents in range(1, 200)]
    texts += [texts[0] + "\r", json.dumps({**LINE, "id": str(uuid.uuid4()).upper()}, separators=(",", ":"))]
    together = lines._read_together([text.encode() for text in texts], MAX)
    assert together is not None
    assert list(map(alike, together)) == [alike(read_line(text.encode(), MAX)) for text in texts]


ODD = [
    b"{",
    b"}",
    b"null",
    b"[]",
    TEXT + TEXT,
    TEXT + b" " + TEXT,
    b" " + TEXT,
    TEXT[:-1],
    TEXT[:40],
    TEXT[40:],
    TEXT + b"," + TEXT,
    TEXT + b"x" * MAX,
    b"\xef\xbb\xbf" + TEXT,
    TEXT.replace(b'"B"', b'"\xff"'),
    TEXT.replace(b'"B"', b'"{"'),
    TEXT.replace(b'"B"', b'"\\""'),
    TEXT.replace(b'"B"', b'"  "'),
    TEXT.replace(b'"B"', b'"\\u200b"'),
    TEXT.replace(b'"B"', b'""'),
    TEXT.replace(b'"ACH"', b'" "'),
    TEXT.replace(b'"ACH"', b'"A\\nB"'),
    TEXT.replace(b"2.5", b"2.505"),
    TEXT.replace(b"2.5", b"0.29999999999999999"),
    TEXT.replace(b"2.5", b"1e3"),
    TEXT.replace(b"2.5", b"0"),
    TEXT.replace(b"2.5", b"NaN"),
    TEXT.replace(b"1,", b"1.0,"),
    TEXT.replace(b"1,", b"true,"),
    TEXT.replace(b"}", b', "payment_amount": 3}'),
    TEXT.replace(b"}", b', "more": 3}'),
    TEXT.replace(b'"payor_account_no": 3', b'"payee_account_no": 3'),
    TEXT.replace(b"6f1c", b"6f1g"),
    TEXT.replace(b"6f1c", b"6f "),
    TEXT.replace(b"6f1c", b"6-1c"),
    TEXT.replace(b"-", b"", 1),
    TEXT.replace(b"-5b6d-", b"5-b6d-"),
    TEXT.replace(b"6f1c", "6f1\u0663".encode()),
]


@pytest.mark.parametrize("odd", ODD)
def test_a_line_that_is_odd_is_read_as_if_it_were_alone(odd: bytes) -> None:
    batch = [TEXT, odd, TEXT]
    assert list(map(alike, read_lines(batch, MAX))) == [alike(read_line(line, MAX)) for line in batch]


@given(st.lists(st.sampled_from([TEXT, TEXT, *ODD]), min_size=1, max_size=6))
def test_no_line_is_read_as_a_part_of_another(batch: list[bytes]) -> None:
    assert list(map(alike, read_lines(batch, MAX))) == [alike(read_line(line, MAX)) for line in batch]


@given(
    st.lists(st.tuples(st.sampled_from([TEXT, *ODD]), st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=3)
)
def test_whatever_byte_is_another_no_verdict_is(changes: list[tuple[bytes, int, int]]) -> None:
    batch = [line[:at] + bytes([byte]) + line[at + 1 :] for line, at, byte in changes]
    batch = [line for line in batch if b"\n" not in line and line and not line.isspace()]
    assert not batch or list(map(alike, read_lines(batch, MAX))) == [alike(read_line(line, MAX)) for line in batch]

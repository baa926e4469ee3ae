"""A query of the queue, and the place of a page in it as text."""

import base64

import pytest

from service.queue.query import Condition, Cursor, InvalidCursor, QueueQuery, decode_cursor

CASE_ID = "035c4ea0-d73b-5bde-bd6f-c806b04f2ec3"


def as_text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.mark.parametrize("value", [0, 1, 2**53, -5])
def test_a_cursor_survives_being_text(value: int) -> None:
    cursor = Cursor("total", value, CASE_ID)
    assert decode_cursor(str(cursor)) == cursor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64!",
        "ü",
        as_text(b"not json"),
        as_text(b"\xff"),
        as_text(b'["total", 1]'),
        as_text(b'["total", 1, "a", "", 0, 0, ' + b"[" * 3_000),
        str(Cursor("total", 2**63, CASE_ID)),
        str(Cursor("total", 1, CASE_ID, change=-(2**63) - 1)),
    ],
)
def test_any_other_text_is_no_cursor(text: str) -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor(text)


def test_conditions_are_joined_with_their_values_in_order_and_the_agreement_of_this_moment() -> None:
    conditions = Condition("payor = ?", (7,)), Condition("{agreement} IN (?, ?)", ("differ", "agree"))
    assert QueueQuery(conditions=conditions).where("now") == (
        "payor = ? AND now IN (?, ?)",
        [7, "differ", "agree"],
    )


def test_the_order_is_a_column_of_its_table_and_a_direction() -> None:
    query = QueueQuery("subjects", sort="-total")
    assert (query.column, query.direction, query.line_id) == ("total_cents", "DESC", "subject_id")
    assert QueueQuery(sort="window_start").direction == "ASC"

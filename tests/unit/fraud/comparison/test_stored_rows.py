"""Rows of both engines in a file: the last of each window, in order of place, and what was not counted."""

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from structlog.testing import capture_logs

from fraud.comparison.compare import Row, WindowKey, window_key
from fraud.comparison.rows import RowError
from fraud.comparison.stored_rows import Rows

ROW = Row(86_400_000, 2, Decimal("10000.01"), 9999.99, ("a", "b"))
GROWN = msgspec.structs.replace(ROW, payment_count=3)


def at(number: int, rule: str = "big", start: int = 0) -> WindowKey:
    return window_key(rule, start, {"payor_account_no": number})


def test_the_last_row_of_each_window_stands_in_order_of_place() -> None:
    with Rows() as rows:
        rows.put("python", [(at(2), ROW), (at(1), ROW), (at(1, start=9), ROW), (at(1, rule="a"), ROW)])
        rows.put("python", [(at(2), GROWN)])
        assert list(rows.in_order("python")) == sorted(
            [(at(2), GROWN), (at(1), ROW), (at(1, start=9), ROW), (at(1, rule="a"), ROW)], key=lambda row: row[0]
        )
        assert list(rows.in_order("ksqldb")) == []


def test_a_window_that_was_taken_away_is_there_again_with_its_next_row() -> None:
    with Rows() as rows:
        rows.put("ksqldb", [(at(1), ROW), (at(1), None)])
        assert list(rows.in_order("ksqldb")) == []
        rows.put("ksqldb", [(at(1), GROWN)])
        assert list(rows.in_order("ksqldb")) == [(at(1), GROWN)]


def test_payments_that_were_not_counted_are_counted_by_window_and_reason() -> None:
    with Rows() as rows:
        rows.put_uncounted("late", [at(1), at(2), at(1)])
        rows.put_uncounted("late", [at(1)])
        assert [rows.count_uncounted("late", at(number)) for number in (1, 2, 3)] == [3, 1, 0]
        assert rows.count_uncounted("repeated", at(1)) == 0


def test_a_record_that_is_no_row_is_left_out_counted_and_said() -> None:
    def read(record: Any) -> int:
        if record.value == b"bad":
            raise RowError("not a row")
        return len(record.value)

    values = [b"a", b"bad", b"abc"]
    records: Any = [SimpleNamespace(topic="review_queue", partition=2, value=value) for value in values]
    with Rows() as rows, capture_logs() as logs:
        assert rows.decode_records(read, records) == [1, 3]
        assert rows.not_understood == 1
    assert [(entry["topic"], entry["partition"], entry["reason"]) for entry in logs] == [
        ("review_queue", 2, "not a row")
    ]


def test_the_file_is_gone_with_the_block() -> None:
    with Rows() as rows:
        folder = Path(rows._folder.name)
        assert (folder / "rows.sqlite").exists()
    assert not folder.exists()

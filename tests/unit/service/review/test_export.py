"""Rows of the tables: columns by name, times in words, lists in one cell."""

from service.review.export import CASE_COLUMNS, PAYMENT_COLUMNS, SUBJECT_COLUMNS, TIMES, _row


def test_a_row_has_the_columns_in_their_order_and_nothing_where_there_is_nothing() -> None:
    case = {"case_id": "a", "group": {"payor_account_no": 7}, "fired_at": 0, "total_amount": "1.00", "other": 1}
    assert _row(("total_amount", "payor_account_no", "payee_bank", "case_id"), case) == ["1.00", 7, None, "a"]


def test_a_subjects_account_is_in_its_columns_and_its_rules_in_one_cell() -> None:
    subject = {"subject": {"payee_bank": "B", "payee_account_no": 1}, "rules": ["fan_in", "velocity"]}
    assert _row(("payee_bank", "rules"), subject) == ["B", "fan_in velocity"]


def test_every_time_of_a_table_is_written_as_one() -> None:
    names = {*CASE_COLUMNS, *SUBJECT_COLUMNS, *PAYMENT_COLUMNS}
    assert {name for name in names if name.endswith(("stamp", "_at", "_start", "_end", "_until"))} == TIMES
    [cell] = _row(("timestamp",), {"timestamp": 1_795_492_000_000})
    assert str(cell).startswith("2026-11-")
    assert "000_000" not in str(cell)

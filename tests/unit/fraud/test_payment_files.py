"""Payments of the past are read as JSON lines or CSV; what is not understood is named by line and column."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from fraud.payment_files import RecordedPayment, Rejection, open_file, read_payments
from schemas.errors import SettingsError

HEADER = "time,id,payee_bank,payee_account_no,payment_amount,payment_method,payor_account_no"
FIRST = "2026-01-31T17:30:00-05:00,6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b,First National,200,4000.01,ACH,100"
FIRST_MS = 1_769_898_600_000


def read(*lines: str) -> tuple[list[RecordedPayment], list[Rejection]]:
    rejections: list[Rejection] = []
    encoded = [f"{line}\n".encode("utf-8", "surrogateescape") for line in lines]
    return list(read_payments(encoded, rejections.append)), rejections


def reasons(*lines: str) -> list[str]:
    return [f"{one.place}: {one.reason}" for one in read(*lines)[1]]


def changed(place: int, cell: str) -> str:
    cells = FIRST.split(",")
    cells[place] = cell
    return ",".join(cells)


def test_a_row_is_a_payment() -> None:
    [payment], rejections = read(HEADER, FIRST)
    assert rejections == []
    assert (payment.id, payment.payee_bank) == ("6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b", "First National")
    assert (payment.payee_account_no, payment.payment_amount, payment.payor_account_no) == (200, 4000.01, 100)
    assert (payment.payment_method, payment.timestamp) == ("ACH", FIRST_MS)


@pytest.mark.parametrize(
    ("cell", "at_ms"),
    [
        (str(FIRST_MS), FIRST_MS),
        ("2026-01-31T22:30:00Z", FIRST_MS),
        ("2026-01-31 22:30+00:00", FIRST_MS),
        ("2026-01-31T22:30:00.123999Z", FIRST_MS + 123),
        (" 2026-02-01T08:30:00+10:00 ", FIRST_MS),
    ],
)
def test_a_time_is_ms_or_iso_8601_with_its_zone(cell: str, at_ms: int) -> None:
    [payment], _ = read(HEADER, changed(0, cell))
    assert payment.timestamp == at_ms


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (changed(0, "2026-01-31T17:30:00"), "line 2, column 1 (timestamp): '2026-01-31T17:30:00' has no zone"),
        (changed(0, "31.1.2026 17:30"), "line 2, column 1 (timestamp): '31.1.2026 17:30' is no time"),
        (changed(0, "1960-01-01T00:00Z"), "line 2, column 1 (timestamp): Expected `int` >= 0"),
        (changed(1, "7"), "line 2, column 2 (id): must be a UUID"),
        (changed(2, "  "), "line 2, column 3 (payee_bank): must not be blank"),
        (changed(2, "\udcff"), "line 2, column 3 (payee_bank): not UTF-8"),
        (changed(3, "200.0"), "line 2, column 4 (payee_account_no): '200.0' is no account number"),
        (changed(3, "2147483648"), "line 2, column 4 (payee_account_no): Expected `int` <= 2147483647"),
        (changed(4, "4000.011"), "line 2, column 5 (payment_amount): '4000.011' is no amount"),
        (changed(4, "9999.9999999999999999"), "line 2, column 5 (payment_amount)"),
        (changed(4, "$5"), "line 2, column 5 (payment_amount): '$5' is no amount"),
        (changed(4, "-5"), "line 2, column 5 (payment_amount): '-5' is no amount"),
        (changed(4, "nan"), "line 2, column 5 (payment_amount): 'nan' is no amount"),
        (changed(4, "0"), "line 2, column 5 (payment_amount): Expected `float` > 0"),
        (changed(6, ""), "line 2, column 7 (payor_account_no): '' is no account number"),
        (FIRST + ",1", "line 2: 8 cells where the header has 7"),
        (FIRST + '"', "line 2"),
    ],
)
def test_a_cell_that_is_not_understood_is_named_by_line_and_column_and_the_rest_goes_on(line: str, reason: str) -> None:
    payments, rejections = read(HEADER, line, changed(0, "5"))
    assert [payment.timestamp for payment in payments] == [5]
    [rejection] = rejections
    assert f"{rejection.place}: {rejection.reason}".startswith(reason)
    assert rejection.skipped


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_commas_semicolons_or_tabs_part_cells_and_excel_may_have_written_a_mark_before_them(delimiter: str) -> None:
    payments, rejections = read(
        "\ufeff" + HEADER.replace(",", delimiter).replace("time", "timestamp"), FIRST.replace(",", delimiter)
    )
    assert (len(payments), rejections) == (1, [])


def test_a_bank_may_have_commas_quotes_and_line_ends_in_its_name() -> None:
    [payment], rejections = read(HEADER, changed(2, '"First, ""National"""'))
    assert (payment.payee_bank, rejections) == ('First, "National"', [])
    payments, _ = read(HEADER, *changed(2, '"First\nNational"').split("\n"), changed(4, "x"))
    assert [payment.payee_bank for payment in payments] == ["First\nNational"]


def test_columns_come_in_any_order_and_what_is_not_known_is_named_and_left_out() -> None:
    columns, cells = [*HEADER.split(","), "branch"], [*FIRST.split(","), "Duluth"]
    [payment], rejections = read(",".join(reversed(columns)), ",".join(reversed(cells)))
    assert payment.payor_account_no == 100
    assert rejections == [Rejection("line 1, column 1 (branch)", "not known; it is left out", skipped=False)]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (HEADER.replace("time,", ""), "line 1: no column for timestamp"),
        (HEADER.replace("payee_bank,", "").replace("id,", ""), "line 1: no column for id, payee_bank"),
        (HEADER + ",timestamp", r"line 1, column 8 \(timestamp\): timestamp has a column already"),
    ],
)
def test_a_header_that_lacks_a_field_is_an_error_that_names_it(header: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        read(header, FIRST)


def test_rows_are_sorted_by_time_since_a_table_has_no_order_of_arrival() -> None:
    payments, _ = read(HEADER, changed(0, "30"), changed(0, "10"), changed(0, "20"))
    assert [payment.timestamp for payment in payments] == [10, 20, 30]


def test_lines_of_json_are_named_by_their_number_and_blank_ones_passed_over() -> None:
    assert reasons("", "{}", "", "nonsense")[0].startswith("line 2: ")
    assert [one.place for one in read("{}", "", "nonsense")[1]] == ["line 1", "line 3"]


@pytest.mark.parametrize("lines", [[], [""], ["", ""]])
def test_nothing_is_no_payments(lines: Sequence[str]) -> None:
    assert read(*lines) == ([], [])


@pytest.mark.parametrize("header", [HEADER.replace("id", '"id', 1), HEADER.replace("id", '"id"x', 1)])
def test_a_header_with_quotes_that_do_not_end_is_an_error_that_names_its_line(header: str) -> None:
    with pytest.raises(SettingsError, match="line 1"):
        read(header, FIRST)


@pytest.mark.parametrize("file", [None, Path("-")])
def test_a_standard_input_that_is_closed_is_an_error_in_words(
    monkeypatch: pytest.MonkeyPatch, file: Path | None
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(SettingsError, match="standard input"):
        open_file(file)

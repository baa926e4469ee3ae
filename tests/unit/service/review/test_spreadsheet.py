"""Tables that a spreadsheet reads as text, in any script."""

import csv
import io

import pytest

from service.review.spreadsheet import cell, csv_lines, time_cell, visible


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1+1",
        "\0=1+1",
        " =1",
        "\u00a0=1",
        "\uff1d1+1",
        "\uff0b1",
        "\u22121",
        "\u207b1",
        "﹦1",
        "\u200b=1",
        "\ufeff@x",
        "\u202e=1",
    ],
)
def test_what_would_begin_a_formula_has_an_apostrophe_before_it(text: str) -> None:
    assert cell(text).startswith("'")


@pytest.mark.parametrize("text", ["First Harbor Bank", "Zürcher Kantonalbank", "A=B", "银行", "", "3 payments, $1.00"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


def test_characters_that_nobody_sees_are_written_by_their_numbers() -> None:
    assert visible("First\u200b Bank\n\0") == "First\\u200b Bank\\u000a\\u0000"


def test_numbers_are_no_text() -> None:
    assert (cell(-5), cell(1.5), cell(None)) == (-5, 1.5, None)


def test_a_line_of_csv_reads_back() -> None:
    lines = csv_lines([["a,b", 'c"d', "ü", -1], ["x\ny", None, "", 2]])
    assert list(csv.reader(io.StringIO(lines.decode()))) == [["a,b", 'c"d', "ü", "-1"], ["x\\u000ay", "", "", "2"]]


def test_times_are_iso_8601_in_utc() -> None:
    assert time_cell(1_795_492_000_001) == "2026-11-24T03:46:40.001+00:00"
    assert time_cell(None) is None

"""Banks are the same whatever the case of their letters, and wherever blanks stand."""

import re
from importlib import resources

import pytest

from fraud.bank_names import BLANKS, fold_bank


@pytest.mark.parametrize(
    "spelling",
    [
        "First National",
        "FIRST NATIONAL",
        "first national ",
        "\tFirst  National\n",
        "First\u00a0National",
        "First\u2003 National\ufeff",
        "\u200bFirst\r\nNational\x00",
    ],
)
def test_letters_case_and_blanks_do_not_tell_banks_apart(spelling: str) -> None:
    assert fold_bank(spelling) == "FIRST NATIONAL"


@pytest.mark.parametrize("other", ["First Nationel", "FirstNational", "First-National", "First National 2"])
def test_other_letters_do(other: str) -> None:
    assert fold_bank(other) != fold_bank("First National")


def test_capitals_are_unicodes_whole_ones() -> None:
    assert fold_bank("Spar Großkirchen") == fold_bank("SPAR GROSSKIRCHEN")
    assert fold_bank("Τράπεζα της Ελλάδος") == fold_bank("ΤΡΆΠΕΖΑ ΤΗΣ ΕΛΛΆΔΟΣ")
    assert fold_bank("İş Bankas\u0131") == "İŞ BANKASI"
    assert fold_bank("𐐨𐐩") == "𐐀𐐁"


def test_letters_that_got_a_capital_after_unicode_13_stay_as_they_are() -> None:
    assert fold_bank("a\u2c5fb\ua7d9c\U00010597") == "A\u2c5fB\ua7d9C\U00010597"


def test_folding_twice_changes_nothing_more() -> None:
    for code in range(0x110000):
        folded = fold_bank.__wrapped__(f"a{chr(code)}b")
        assert fold_bank.__wrapped__(folded) == folded


def test_the_sql_folds_by_the_same_expression() -> None:
    sql = resources.files("ksql").joinpath("01_payments.sql").read_text(encoding="utf-8")
    folds = re.findall(r"UCASE\(TRIM\(REGEXP_REPLACE\(payee_bank, '(.*)', '(.*)'\)\)\)\s+AS folded_bank", sql)
    assert folds == [(BLANKS, " ")] * 3

"""Windows are aligned whatever order they come in, and every kind of difference is told apart."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.comparison.compare import KINDS, Comparison, Row, WindowKey, align, difference, window_key

HERE = window_key("structuring", 0, {"payor_account_no": 1, "payee_bank": "B", "payee_account_no": 2})
ROW = Row(86_400_000, 2, Decimal("10000.01"), 9999.99, ("a", "b"))


def test_the_same_rows_do_not_differ() -> None:
    assert difference(HERE, ROW, msgspec.structs.replace(ROW, total_amount=Decimal("10000.010"))) is None


def test_columns_in_another_order_are_the_same_window() -> None:
    assert window_key("structuring", 0, {"payee_account_no": 2, "payee_bank": "B", "payor_account_no": 1}) == HERE


@pytest.mark.parametrize(
    ("ksqldb", "python", "late", "kind"),
    [
        (ROW, None, 0, "only_ksqldb"),
        (None, ROW, 0, "only_python"),
        (ROW, msgspec.structs.replace(ROW, payment_count=3), 0, "different"),
        (ROW, msgspec.structs.replace(ROW, payment_count=3), 1, "late"),
        (ROW, None, 2, "late"),
    ],
)
def test_each_kind_of_difference_has_its_name(ksqldb: Row | None, python: Row | None, late: int, kind: str) -> None:
    divergence = difference(HERE, ksqldb, python, late)
    assert divergence is not None
    assert (divergence.kind, divergence.late) == (kind, late)


def test_a_difference_names_the_fields_with_both_values() -> None:
    other = msgspec.structs.replace(ROW, total_amount=Decimal("10000.02"), payment_ids=("a", "c"))
    divergence = difference(HERE, ROW, other)
    assert divergence is not None
    assert divergence.fields == {
        "total_amount": {"ksqldb": "10000.01", "python": "10000.02"},
        "payment_ids": {"ksqldb": ["b"], "python": ["c"]},
    }
    assert divergence.group == {"payor_account_no": 1, "payee_bank": "B", "payee_account_no": 2}


def long_row(ids: range, *, count: int = 1500) -> Row:
    return Row(86_400_000, count, Decimal("3000.00"), 2.0, tuple(sorted(f"payment-{n}" for n in ids)))


def test_of_a_window_with_more_payments_than_are_listed_the_ids_are_not_compared() -> None:
    assert difference(HERE, long_row(range(1000)), long_row(range(500, 1500))) is None
    assert difference(HERE, long_row(range(1500)), long_row(range(500, 1500))) is None


def test_a_list_that_is_too_short_is_a_difference() -> None:
    divergence = difference(HERE, msgspec.structs.replace(ROW, payment_ids=("a",)), ROW)
    assert divergence is not None
    assert divergence.fields == {"payment_ids": {"ksqldb": [], "python": ["b"]}}


def test_of_such_a_window_everything_else_is() -> None:
    divergence = difference(HERE, long_row(range(1000)), long_row(range(500, 1500), count=1501))
    assert divergence is not None
    assert divergence.fields == {"payment_count": {"ksqldb": 1500, "python": 1501}}


@given(st.sets(st.integers(0, 50)), st.sets(st.integers(0, 50)))
def test_every_window_of_either_engine_is_there_once(ksqldb: set[int], python: set[int]) -> None:
    def rows(starts: set[int]) -> list[tuple[WindowKey, Row]]:
        return [(WindowKey("r", start, "{}"), ROW) for start in sorted(starts)]

    pairs = [
        (where.window_start, ksqldb_row is not None, python_row is not None)
        for where, ksqldb_row, python_row in align(rows(ksqldb), rows(python))
    ]
    assert pairs == [(start, start in ksqldb, start in python) for start in sorted(ksqldb | python)]


def test_the_counts_of_a_comparison_add_up() -> None:
    comparison = Comparison(max_differences=1)
    comparison.add(HERE, None, closed=True)
    comparison.add(HERE, difference(HERE, ROW, None), closed=False)
    comparison.add(HERE, difference(HERE, None, ROW), closed=False)
    assert not comparison.agree
    document = comparison.as_json(caught_up=True)
    assert document["rules"] == {
        "structuring": {**dict.fromkeys(KINDS, 0), "equal": 1, "only_ksqldb": 1, "only_python": 1}
    }
    assert (document["settled"], document["provisional"], len(document["differences"])) == (1, 2, 1)

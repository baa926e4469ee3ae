"""Shares have bounds that hold for few and for extreme ones, and percentiles are values that occurred."""

import pytest

from fraud.evaluation.shares import percentile, share


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 40, 0.0, 0.0876), (40, 40, 0.9124, 1.0), (308, 439, 0.6572, 0.7425)],
)
def test_a_share_has_wilsons_bounds(hits: int, total: int, low: float, high: float) -> None:
    bounds = share(hits, total)
    assert bounds.value == hits / total
    assert (bounds.low, bounds.high) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


def test_a_share_of_nothing_has_no_value() -> None:
    assert (share(0, 0).value, share(0, 0).low, share(0, 0).high) == (None, None, None)


def test_a_percentile_is_the_nearest_rank() -> None:
    assert percentile([], 50) is None
    assert [percentile([3, 1, 2], percent) for percent in (1, 50, 99)] == [1, 2, 3]
    assert percentile(range(1, 201), 99) == 198

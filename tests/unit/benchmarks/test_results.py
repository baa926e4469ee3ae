"""Figures of a benchmark, and their verdict."""

import pytest

from benchmarks.results import at_least, at_least_times, at_most


def test_the_ratio_is_the_value_by_the_reference() -> None:
    result = at_least("name", 30.0, "other", 20.0, 1.5)
    assert (result.ratio, result.goal, result.reached) == (1.5, ">= 1.5", True)
    assert not at_least("name", 29.9, "other", 20.0, 1.5).reached


def test_what_should_be_small_is_reached_below_its_reference() -> None:
    assert at_most("name", 600.0, "bytes", 600.0).reached
    assert not at_most("name", 601.0, "bytes", 600.0).reached


def test_several_rounds_count_by_their_medians() -> None:
    result = at_least_times("name", [90.0, 100.0, 500.0], "other", [1.0, 50.0, 60.0], 2.0)
    assert (result.value, result.reference, result.ratio, result.reached) == (100.0, 50.0, 2.0, True)
    assert result.spread == pytest.approx(4.1)

"""Where a reader of events goes on: after the last one that it has, if that can be said."""

import pytest

from service.queue.changes import ChangeMark
from service.review.events import MAX_BEHIND, _since

LAST = ChangeMark("abc", 500_000)


@pytest.mark.parametrize("number", [500_000, 499_999, 500_000 - MAX_BEHIND])
def test_an_event_of_this_file_that_is_not_long_ago_is_gone_on_from(number: int) -> None:
    assert _since(f"abc-{number}", LAST) == ChangeMark("abc", number)


@pytest.mark.parametrize(
    "event",
    ["", "abc", "abc-", "-1", "xyz-499999", "abc-500001", f"abc-{500_000 - MAX_BEHIND - 1}", "abc--1", "abc-1e5"],
)
def test_an_event_of_another_file_or_of_long_ago_or_none_is_not(event: str) -> None:
    assert _since(event, LAST) is None


def test_a_number_of_any_length_costs_nothing() -> None:
    assert _since("abc-" + "9" * 5_000, LAST) is None

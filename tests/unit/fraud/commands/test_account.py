"""The commands about an account: whose topics are read is said, or nothing is read."""

import re
from collections.abc import Callable

import pytest

from fraud.commands.account import NOT_ERASED, erase, export
from schemas.errors import SettingsError
from schemas.kafka.topics import ALL_TOPICS, RAW_TOPICS
from schemas.payment import INT32_MAX


@pytest.mark.parametrize("command", [export, erase])
@pytest.mark.parametrize(
    ("payor", "payee"),
    [
        (None, None),
        (100, "First National/200"),
        (-1, None),
        (INT32_MAX + 1, None),
        (None, "First National"),
        (None, "/200"),
        (None, "First National/-1"),
        (None, f"First National/{INT32_MAX + 1}"),
    ],
)
def test_what_is_no_account_is_refused_before_anything_is_read(
    command: Callable[..., int], payor: int | None, payee: str | None
) -> None:
    with pytest.raises(SettingsError, match="name one account"):
        command(payor=payor, payee=payee)


@pytest.mark.parametrize("topic", [topic for topic in ALL_TOPICS if topic not in RAW_TOPICS])
def test_of_each_topic_it_is_said_what_remains_there(topic: str) -> None:
    assert re.search(rf"\b{topic}\b", NOT_ERASED)

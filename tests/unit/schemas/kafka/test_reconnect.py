"""Pauses before a broker that cannot be reached is tried again."""

import asyncio
from typing import Any

import pytest

from schemas.kafka import reconnect
from schemas.kafka.reconnect import FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS, back_off


class Client:
    """A client's one private method."""

    def __init__(self) -> None:
        self.connection: object | None = None
        self.attempts = 0

    async def _get_conn(self, node_id: int, *, group: int = 0, no_hint: bool = False) -> object | None:
        self.attempts += 1
        return self.connection


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds slept, by a clock that sleeping moves."""
    slept: list[float] = []

    class Clock:
        monotonic = staticmethod(lambda: sum(slept))

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(reconnect, "time", Clock)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return slept


async def attempts(client: Any, number: int, node: int = 1) -> None:
    for _ in range(number):
        await client._get_conn(node, group=1)


async def test_each_failure_doubles_the_pause_up_to_a_second(pauses: list[float]) -> None:
    client = Client()
    back_off(client)
    await attempts(client, 12)
    expected = [min(FIRST_PAUSE_SECONDS * 2**number, MAX_PAUSE_SECONDS) for number in range(11)]
    assert client.attempts == 12
    assert all(0.8 * pause <= slept <= 1.2 * pause for slept, pause in zip(pauses, expected, strict=True))


async def test_a_broker_that_answers_is_never_waited_for_and_another_ones_pauses_are_its_own(
    pauses: list[float],
) -> None:
    client = Client()
    back_off(client)
    await attempts(client, 3)
    client.connection = object()
    await attempts(client, 2, node=2)
    await attempts(client, 3)
    assert len(pauses) == 3
    client.connection = None
    await attempts(client, 2)
    assert pauses[3] <= 1.2 * FIRST_PAUSE_SECONDS

"""Reading topics where Kafka cannot be reached: every reader says why, and none waits for ever."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from compose.addresses import free_port
from schemas.kafka.connect import Unreachable
from schemas.kafka.reading import end_offsets, offset_bounds, offsets_at, read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENTS


async def read_all(kafka: KafkaSettings) -> object:
    return [records async for records in read_to_end(kafka, [PAYMENTS])]


@pytest.mark.parametrize(
    "ask",
    [
        read_all,
        lambda kafka: end_offsets(kafka, [PAYMENTS]),
        lambda kafka: offset_bounds(kafka, [PAYMENTS]),
        lambda kafka: offsets_at(kafka, [PAYMENTS], 0),
    ],
)
async def test_every_reader_says_why(ask: Callable[[KafkaSettings], Awaitable[Any]]) -> None:
    nobody = KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable, match="is not listening"):
        await ask(nobody)

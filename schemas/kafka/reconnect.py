"""Pauses between two attempts to reach a broker that cannot be reached, as Kafka's own clients make them.

aiokafka (0.14) has no reconnect.backoff.ms: a client tries again as often as it retries anything, a producer whose
transactions are to be quick every 20 ms. Its connections are all made in one private place, which is wrapped here.
"""
# ruff: noqa: SLF001 - see above

import asyncio
import random
import time
from typing import Any

from aiokafka.client import AIOKafkaClient

FIRST_PAUSE_SECONDS = 0.05
"""As reconnect.backoff.ms."""
MAX_PAUSE_SECONDS = 1.0
"""As reconnect.backoff.max.ms."""


def back_off(client: AIOKafkaClient) -> None:
    """Have a client wait before it tries a broker again: twice as long after each failure, a fifth more or less."""
    connect = client._get_conn
    pauses: dict[Any, tuple[float, float]] = {}

    async def connect_after_a_pause(node_id: Any, **options: Any) -> Any:
        pause, until = pauses.get(node_id, (0.0, 0.0))
        if pause:
            await asyncio.sleep(until - time.monotonic())
        connection = await connect(node_id, **options)
        if connection is not None:
            pauses.pop(node_id, None)
        else:
            pause = min(2 * pause, MAX_PAUSE_SECONDS) or FIRST_PAUSE_SECONDS
            pauses[node_id] = pause, time.monotonic() + pause * random.uniform(0.8, 1.2)
        return connection

    client._get_conn = connect_after_a_pause

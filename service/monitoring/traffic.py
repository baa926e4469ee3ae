"""Payments that come in, and those that fraud has not read: Kafka's counts, asked once a second at most."""

import asyncio
import time
from collections import deque
from typing import NamedTuple

from aiohttp import web
from aiokafka.errors import KafkaError

from fraud.comparison.lag import unread_payments
from schemas.kafka.settings import KafkaSettings

ASK_SECONDS = 1.0
MEAN_SECONDS = 6.0
TIMEOUT_SECONDS = 5.0


class Figures(NamedTuple):
    """`rate`: payments a second, of all services and formats; `unread`: payments that fraud has not read."""

    rate: float
    unread: int | None


class Traffic:
    """Figures of the raw topics."""

    def __init__(self, kafka: KafkaSettings, app: str) -> None:
        """`app` is the name of the installation, as the fraud processes have it."""
        self._kafka = kafka
        self._app = app
        self._asking = asyncio.Lock()
        self._totals: deque[tuple[float, int]] = deque()
        self._unread: int | None = None

    async def figures(self) -> Figures:
        """Figures of a second ago at most; where Kafka does not answer, what was known last, and `unread` is None."""
        async with self._asking:
            if not self._totals or time.monotonic() - self._totals[-1][0] > ASK_SECONDS:
                await self._ask()
        if len(self._totals) < 2:
            return Figures(0.0, self._unread)
        (began, first), (ended, last) = self._totals[0], self._totals[-1]
        return Figures(max(0, last - first) / (ended - began), self._unread)

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                total, self._unread = await unread_payments(self._kafka, self._app)
        except (KafkaError, OSError, TimeoutError):
            self._unread = None
            return
        now = time.monotonic()
        while self._totals and now - self._totals[0][0] > MEAN_SECONDS:
            self._totals.popleft()
        self._totals.append((now, total))


TRAFFIC = web.AppKey("traffic", Traffic)

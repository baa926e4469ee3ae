"""Progress of both engines, asked for as long as the service runs: what neither could have missed may be judged.

A verdict needs three things in this order: both engines have read everything that is posted (their lag is 0), Python
has had the moment that it takes to write the cases of hot windows, and the view holds what both have written.
"""

import asyncio
import time

import structlog
from aiohttp import web

from fraud.comparison.engine_status import NOT_RUNNING, EngineStatus, SecondEngine
from fraud.comparison.lag import python_lag
from fraud.comparison.rows import SINK
from fraud.detection.topology import HOT_CASES_EVERY_SECONDS
from schemas.kafka.failures import reason_to_retry
from schemas.kafka.provisioning import retention_ms
from schemas.kafka.settings import KafkaSettings
from service.queue.consumer import QueueReader
from service.queue.view import QueueView

ASK_AGAIN_SECONDS = 2.0
TIMEOUT_SECONDS = 60.0
NO_ENGINE = "there is no second engine: set KSQLDB_URL, or ENGINE=streams beside the local stack"

log = structlog.get_logger(__name__)


class EngineProgress:
    """Moves the view's `compared_until` forward."""

    def __init__(
        self, kafka: KafkaSettings, app: str, engine: SecondEngine, view: QueueView, reader: QueueReader
    ) -> None:
        """`app` is the name of the installation, as the fraud processes have it."""
        self.caught_up = False
        """True where both engines had read everything when they were asked last."""
        self.reason: str | None = "the engines have not been asked yet"
        """Why they are not, or cannot be asked; None if they are."""
        self.engine = EngineStatus(engine.name, None, NOT_RUNNING, None)
        """The second engine when it was asked last."""
        self._kafka = kafka
        self._app = app
        self._second = engine
        self._view = view
        self._reader = reader
        view.compared_until = 0

    async def run(self) -> None:
        """Ask again and again, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    reason = await self._ask()
            except TimeoutError:
                reason = f"the engines were not done within {TIMEOUT_SECONDS:g} seconds"
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it raises what ends the work
                reason = reason_to_retry(error)
            if reason != self.reason:
                log.info("comparison of the engines", caught_up=reason is None, reason=reason)
            self.caught_up, self.reason = reason is None, reason
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def _ask(self) -> str | None:
        asked_at = int(time.time() * 1000)
        for _ in range(2):  # what is read may lead to more
            self.engine = await self._second.status()
            if obstacle := self.engine.obstacle:
                return obstacle
            if lag := await python_lag(self._kafka, self._app):
                return f"Python has {lag} records to read"
        if awaited := self._reader.awaited:
            return f"{self.engine.name} has not made {', '.join(awaited)} yet"
        # A row is as old as its last payment, which may be the window's first.
        retention = await retention_ms(self._kafka, self._reader.sinks)
        self._view.expired_until = {sink.removeprefix(SINK): asked_at - span_ms for sink, span_ms in retention.items()}
        if lag := self._reader.lag:
            return f"the queue has {lag} records to take in"
        await asyncio.sleep(1.5 * HOT_CASES_EVERY_SECONDS)
        await self._reader.check_now()
        await asyncio.to_thread(self._view.advance_comparison, asked_at)
        return None


ENGINE_PROGRESS = web.AppKey("engine_progress", EngineProgress)

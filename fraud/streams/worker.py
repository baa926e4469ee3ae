"""A worker: a member of a stage's consumer group that runs the tasks assigned to it.

Work goes in sessions. A session joins the group, opens its tasks, and commits a batch of each per commit interval;
whatever fails ends the session, and the next one begins from what was committed. There is no other recovery, so it is
the path that is always exercised: a crash, a fenced producer, a rebalance and a restarted broker all end in it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from fraud.settings import FraudSettings
from fraud.streams import metrics
from fraud.streams.assignor import TaskAssignor
from fraud.streams.session import Session
from fraud.streams.stage import Stage
from fraud.streams.task import Task, open_task
from schemas.errors import BrokerError, RegistryUnavailable
from schemas.event_loop import being_cancelled
from schemas.kafka.connect import Unreachable, start_client
from schemas.kafka.reconnect import back_off
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.stop import stop_consumer

FETCH_WAIT_MS = 50
METADATA_SECONDS = 30.0
"""Time until a worker hears of partitions that were added, and of topics that were made anew: both wait unread."""
RECOVERABLE = (KafkaError, BrokerError, RegistryUnavailable, TimeoutError, AssertionError, OSError, RuntimeError)
"""Errors that end a session but not the worker.

aiokafka asserts where a fenced producer is used on; uvloop raises RuntimeError where a closed connection is written to.
"""


log = structlog.get_logger(__name__)


class Worker:
    """Runs a stage until it is stopped."""

    def __init__(self, stage: Stage, kafka: KafkaSettings, settings: FraudSettings) -> None:
        self.stage = stage
        self.settings = settings
        self.tasks: dict[int, Task] = {}
        self.stopping = asyncio.Event()
        self._kafka = kafka
        self._client_options = kafka.client_options()
        self._group = f"{settings.fraud_app}-{stage.group}"
        self._session: Session | None = None
        self._reason = "it has not joined its group yet"

    async def missing(self) -> str | None:
        """Ask Kafka, and return what keeps the stage from its work at this moment; None if nothing does."""
        return self._reason if self._session is None else await self._session.missing()

    async def run(self) -> None:
        """Work, session after session, until `stopping` is set."""
        pause = self.settings.fraud_retry_seconds
        while not self.stopping.is_set():
            try:
                async with self._joined() as session:
                    while not self.stopping.is_set():
                        await session.step()
                        pause = self.settings.fraud_retry_seconds
                    await session.finish()
            except Unreachable as error:
                reason = str(error)
            except RECOVERABLE as error:
                reason = f"{type(error).__name__}: {error}"
            except asyncio.CancelledError:
                if being_cancelled():
                    raise
                reason = "a client of Kafka ended"
            else:
                break
            self._reason = f"it starts over after an error: {reason}"
            log.warning("session ended; starting over", stage=self.stage.name, reason=reason, pause_seconds=pause)
            await _wait(self.stopping, pause)
            pause = min(2 * pause, 30.0)

    @asynccontextmanager
    async def _joined(self) -> AsyncIterator[Session]:
        consumer = AIOKafkaConsumer(
            **self._client_options,
            client_id=self._group,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy=[TaskAssignor],
            session_timeout_ms=self.settings.fraud_session_timeout_ms,
            heartbeat_interval_ms=self.settings.fraud_session_timeout_ms // 5,
            rebalance_timeout_ms=60_000,
            max_poll_interval_ms=600_000,
            metadata_max_age_ms=int(1000 * METADATA_SECONDS),
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        back_off(consumer._client)  # noqa: SLF001 - nothing public leads to it
        interval = self.settings.fraud_commit_interval_ms / 1000
        session = Session(self.stage, consumer, self.tasks, self.open_task, self.stopping, interval)
        metrics.SESSIONS.labels(self.stage.name).inc()
        try:
            await start_client(consumer, self._kafka)
            consumer.subscribe(self.stage.inputs, listener=session)
            self._session = session
            yield session
        finally:
            self._session = None
            await asyncio.gather(*(task.close() for task in self.tasks.values()), stop_consumer(consumer))
            self.tasks.clear()
            metrics.TASKS.labels(self.stage.name).set(0)
            metrics.LAG.remove_by_labels({"stage": self.stage.name})

    async def open_task(self, number: int, consumer: AIOKafkaConsumer) -> Task:
        """See `task.open_task`."""
        return await open_task(
            self.stage,
            number,
            app=self.settings.fraud_app,
            group=self._group,
            kafka=self._kafka,
            consumer=consumer,
        )


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait until the event is set, or for that long."""
    if seconds > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)

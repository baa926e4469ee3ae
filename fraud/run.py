"""A fraud process: its stages' workers, what it answers over HTTP, and its end."""

import asyncio
import gc
import signal
from collections.abc import Callable, Iterable, Sequence

import stamina
import structlog

from fraud.settings import Settings
from fraud.streams.health import served
from fraud.streams.stage import Stage
from fraud.streams.worker import Worker
from schemas.errors import BrokerError
from schemas.kafka.provisioning import create_topics

GARBAGE = (100_000, 20, 100)
"""Thresholds at which Python looks for garbage in cycles.

A batch makes as many objects as its default has as a limit a hundred times over, and frees all of them itself: by the
default a fifth of the time goes into looking.
"""

log = structlog.get_logger(__name__)


async def run_stages(stages: Iterable[Stage], settings: Settings) -> None:
    """Run a worker for each stage until SIGTERM or SIGINT; then finish the batches under way and leave the groups.

    Kafka may come later: it is waited for. Raises SettingsError if the address of the metrics cannot be had.
    """
    gc.set_threshold(*GARBAGE)
    workers = [Worker(stage, settings.kafka, settings.fraud) for stage in stages]
    async with served(workers, settings.fraud):
        await _run_until_stopped(workers, settings)
    log.info("stopped")


async def _run_until_stopped(workers: Sequence[Worker], settings: Settings) -> None:
    stop = asyncio.Event()
    _on_signals(stop.set)
    stopping = asyncio.create_task(stop.wait())
    creating = asyncio.create_task(_create_topics(settings))
    await asyncio.wait({creating, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if creating.done():
        creating.result()
        running = [asyncio.create_task(worker.run(), name=worker.stage.name) for worker in workers]
        await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for worker in workers:
            worker.stopping.set()
        # All of them, even where one has failed: what is left running is cut off in the middle of its batch.
        for error in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(error, BaseException):
                raise error
    creating.cancel()
    stopping.cancel()


async def _create_topics(settings: Settings) -> None:
    async for attempt in stamina.retry_context(on=BrokerError, attempts=None, timeout=None, wait_max=5.0):
        with attempt:
            await create_topics(settings.kafka, settings.topics)


def _on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)

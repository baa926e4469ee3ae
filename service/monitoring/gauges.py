"""The figures that say how things stand, brought up to date while the service runs."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import count

import structlog
from aiohttp import web

from fraud.rules import DAY_MS
from schemas.event_loop import background
from service.http.connections import CONNECTIONS
from service.http.problems import Problem
from service.idempotency.deduplicator import DEDUPLICATOR
from service.metrics import METRICS
from service.payments.codecs import CODECS
from service.producer.connection import CONNECTION
from service.producer.payment_producer import PRODUCER
from service.queue import counts, subject_reads
from service.queue.consumer import QUEUE_READER
from service.queue.decisions import STATUSES
from service.queue.engine_progress import ENGINE_PROGRESS
from service.queue.viewings import VIEWING_LOG
from service.review.comparison import read_comparison
from service.review.reading import read_view
from service.settings import RULES, SETTINGS

EVERY_SECONDS = 1.0
VIEW_EVERY = 15
"""The view is asked every so many times only: it counts all its cases."""

log = structlog.get_logger(__name__)


async def gauges(app: web.Application) -> AsyncIterator[None]:
    """A context of the application."""
    async with background(_update_for_ever(app)):
        yield


async def _update_for_ever(app: web.Application) -> None:
    for turn in count():
        _from_memory(app)
        if turn % VIEW_EVERY == 0:
            try:
                await _from_view(app)
            except Problem as problem:
                log.warning("the queue's figures are old", reason=str(problem))
        await asyncio.sleep(EVERY_SECONDS)


def _from_memory(app: web.Application) -> None:
    connection, producer, reader = app[CONNECTION], app[PRODUCER], app[QUEUE_READER]
    progress = app.get(ENGINE_PROGRESS)
    app[METRICS].set_gauges(
        {
            "underten_connections": app[CONNECTIONS].open,
            "underten_payments_in_flight": producer.in_flight,
            "underten_payments_in_flight_bytes": producer.in_flight_bytes,
            "underten_review_queue_lag": reader.lag,
            "underten_kafka_connected": connection.current is not None,
            "underten_schemas_registered": app[CODECS].registered,
            "underten_review_queue_ready": reader.caught_up and reader.reason is None,
            "underten_engines_caught_up": progress is None or progress.caught_up,
        }
    )
    if progress:
        app[METRICS].set_engine(progress.engine.name, progress.engine.lag)
    app[METRICS].count_up_to(
        {
            "underten_producers_replaced": connection.replaced,
            "underten_connections_refused": app[CONNECTIONS].refused,
            "underten_connections_silent": app[CONNECTIONS].silent,
            "underten_receipts_lost": app[DEDUPLICATOR].state.lost if DEDUPLICATOR in app else 0,
            "underten_viewings_lost": app[VIEWING_LOG].lost,
            "underten_review_queue_records": reader.applied,
            "underten_review_queue_bad_records": reader.bad,
        }
    )


async def _from_view(app: web.Application) -> None:
    by_status = await read_view(app, counts.by_status)
    app[METRICS].set_cases(dict.fromkeys(STATUSES, 0) | by_status)
    subjects = await read_view(app, subject_reads.by_status)
    due_before = int(time.time() * 1000) - app[SETTINGS].service.report_due_days * DAY_MS
    overdue = await read_view(app, subject_reads.overdue, due_before)
    app[METRICS].set_subjects(dict.fromkeys(STATUSES, 0) | subjects, overdue)
    if ENGINE_PROGRESS in app:
        comparison = await read_view(app, read_comparison, app[RULES])
        app[METRICS].set_comparison(comparison["rules"])

"""Resources that the application holds while it runs: each context acquires, yields, and releases.

None waits for Kafka or the registry: the service answers from its first moment, if only with what is missing.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path

import structlog
from aiohttp import web

from fraud.comparison.second_engine import choose_engine, second_engine
from fraud.rules import load
from schemas.errors import SettingsError
from schemas.event_loop import background
from schemas.payment_reader import PaymentReader
from schemas.registry import Registry
from service.access.authentication import ACCESS, Access
from service.access.jwk_set import JWT_KEYS, FetchedKeys, KeyFile
from service.access.jwts import Jwts
from service.access.opaque_tokens import OpaqueTokens
from service.http.bodies import BODY_BUDGET, BodyBudget
from service.idempotency.deduplicator import DEDUPLICATOR, MAX_GATHER_SECONDS, Deduplicator
from service.idempotency.entries import FORMAT
from service.idempotency.processes import Processes, forget_folders, join_folder
from service.idempotency.receipts import Receipts
from service.idempotency.recovery import RECOVERY, Recovery
from service.metrics import METRICS
from service.monitoring.traffic import TRAFFIC, Traffic
from service.payments.codecs import CODECS, Codecs
from service.payments.intake import INTAKE, PaymentIntake
from service.payments.rate_limit import RATE_LIMITER
from service.producer.connection import CONNECTION, ProducerConnection
from service.producer.payment_producer import PRODUCER, PaymentProducer
from service.queue.claimed_file import own_file
from service.queue.consumer import QUEUE_READER, QueueReader
from service.queue.decision_log import DECISION_LOG, DecisionLog
from service.queue.engine_progress import ENGINE_PROGRESS, EngineProgress
from service.queue.shared_ends import SharedEnds
from service.queue.view import QUEUE_VIEW, QueueView
from service.queue.viewings import VIEWING_LOG, ViewingLog
from service.review.events import STOPPING
from service.review.payment_record import PAYMENT_RECORDS, PaymentRecords
from service.settings import RULES, SETTINGS, ServiceSettings

log = structlog.get_logger(__name__)


async def access(app: web.Application) -> AsyncIterator[None]:
    """The tokens that are taken, where they are asked for; the keys of JWTs are fetched in the background."""
    settings = app[SETTINGS].access
    if not settings.controlled:
        yield
        return
    opaque = OpaqueTokens(settings.access_file) if settings.access_file else None
    if settings.jwt_keys is None:
        app[ACCESS] = Access(opaque, None)
        yield
    elif settings.jwt_keys_fetched:
        fetched = FetchedKeys(settings.jwt_keys, settings.jwt_algorithms, settings.key_client())
        app[JWT_KEYS] = fetched
        app[ACCESS] = Access(opaque, Jwts(settings, fetched))
        async with background(fetched.keep_fresh()):
            yield
        await fetched.close()
    else:
        keys = KeyFile(Path(settings.jwt_keys), settings.jwt_algorithms)
        app[ACCESS] = Access(opaque, Jwts(settings, keys))
        yield


async def formats(app: web.Application) -> AsyncIterator[None]:
    """The codecs, registered in the background."""
    app[CODECS] = Codecs(Registry(app[SETTINGS].registry))
    async with background(app[CODECS].register()):
        yield


async def producer(app: web.Application) -> AsyncIterator[None]:
    """The way to Kafka; ends when everything in flight is answered."""
    settings = app[SETTINGS]
    service = settings.service
    app[BODY_BUDGET] = BodyBudget(service.max_in_flight_bytes)
    app[CONNECTION] = ProducerConnection(
        settings.kafka, settings.topics, max_batch_bytes=service.max_batch_bytes, abandon_after=service.deadline
    )
    app[PRODUCER] = PaymentProducer(
        app[CONNECTION],
        linger=service.linger_ms / 1000 - _gather_seconds(service),
        max_in_flight=service.max_in_flight,
        max_in_flight_bytes=service.max_in_flight_bytes,
    )
    if service.replay_seconds:
        _keep_receipts(app)
    _open_intake(app)
    async with background(app[RECOVERY].run()) if service.replay_seconds else nullcontext():
        yield
    await app[PRODUCER].close(service.deadline)
    if service.replay_seconds:
        await app[DEDUPLICATOR].close()


def _gather_seconds(service: ServiceSettings) -> float:
    """Find the part of their linger that payments spend before they are claimed, where they are: 0 elsewhere."""
    if service.replay_seconds and service.shares_port:
        return min(service.linger_ms / 1000, MAX_GATHER_SECONDS)
    return 0.0


def _keep_receipts(app: web.Application) -> None:
    """The receipts of the last minutes, and their recovery from the topics."""
    settings = app[SETTINGS]
    service = settings.service
    folder, keep_seconds = join_folder(service.receipts_folder, f"{FORMAT}-{{}}", service.replay_seconds)
    if keep_seconds != service.replay_seconds:
        log.warning(
            "REPLAY_SECONDS is not in force: others that share the receipts run with another", in_force=keep_seconds
        )
    processes = Processes(folder)
    forget_folders(folder)
    receipts = Receipts(folder, keep_seconds)
    if receipts.fresh:
        processes.forget(processes.dead())
    app[DEDUPLICATOR] = Deduplicator(
        app[PRODUCER],
        receipts,
        processes,
        shared=service.shares_port,
        gather_seconds=_gather_seconds(service),
    )
    app[RECOVERY] = Recovery(
        app[DEDUPLICATOR],
        receipts,
        processes,
        app[CONNECTION],
        settings.kafka,
        PaymentReader(app[CODECS].registry),
        folder / "catching-up",
        shared=service.shares_port,
    )


def _open_intake(app: web.Application) -> None:
    app[INTAKE] = PaymentIntake(
        app[SETTINGS].service,
        app[CODECS],
        app[METRICS],
        app.get(RATE_LIMITER),
        app[PRODUCER],
        app.get(DEDUPLICATOR),
    )


async def review_queue(app: web.Application) -> AsyncIterator[None]:
    """The view of the review queue, and what keeps it up to date."""
    settings = app[SETTINGS]
    app[STOPPING] = asyncio.Event()
    with own_file(settings.service.queue_view) as file:
        try:
            view = await asyncio.to_thread(QueueView, file)
        except sqlite3.OperationalError as error:
            raise SettingsError(f"queue_view {file}: {error}") from None
        async with _reading_into(view, app):
            yield


@asynccontextmanager
async def _reading_into(view: QueueView, app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    app[QUEUE_VIEW] = view
    app[RULES] = rules = tuple(load(settings.service.fraud_rules))
    installation = settings.service.fraud_app
    choice = choose_engine(settings.engine.engine, settings.ksqldb, otherwise="none")
    engine = second_engine(choice, settings.ksqldb, settings.kafka, installation, rules)
    app[QUEUE_READER] = reader = QueueReader(settings.kafka, view, rules if engine else ())
    shared = SharedEnds(settings.service.decisions_folder) if settings.service.shares_port else None
    app[DECISION_LOG] = DecisionLog(app[CONNECTION], reader, settings.service.deadline, shared)
    app[VIEWING_LOG] = ViewingLog(app[CONNECTION], settings.service.deadline)
    app[TRAFFIC] = Traffic(settings.kafka, installation)
    app[PAYMENT_RECORDS] = PaymentRecords(
        settings.kafka, PaymentReader(app[CODECS].registry), settings.service.deadline
    )
    async with AsyncExitStack() as running:
        running.push_async_callback(asyncio.to_thread, view.close)
        if shared:
            running.callback(shared.close)
        await running.enter_async_context(background(reader.run()))
        await running.enter_async_context(background(app[VIEWING_LOG].run()))
        running.push_async_callback(app[VIEWING_LOG].drain)
        if engine:
            app[ENGINE_PROGRESS] = progress = EngineProgress(settings.kafka, installation, engine, view, reader)
            await running.enter_async_context(background(progress.run()))
        yield


async def stop_streams(app: web.Application) -> None:
    """Let those who follow the queue go: they would be waited for."""
    app[STOPPING].set()

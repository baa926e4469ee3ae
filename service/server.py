"""A serving process: from binding the port to the last response."""

import asyncio
import gc
import logging
import signal
import sys
from typing import Any

import structlog
from aiohttp import web

from schemas.event_loop import loop_factory
from schemas.logs import configure_logs
from service.app import make_app
from service.http.connections import CONNECTIONS, Runner, raise_file_limit
from service.http.exchanges import EXCHANGES
from service.http.request_log import AccessLogger, ErrorAccessLogger
from service.monitoring.health import check_all, missing_of
from service.payments.codecs import CODECS
from service.settings import ServiceSettings, Settings

BACKLOG = 1024
MAX_NEW_OBJECTS = 5_000
"""Containers that may be made, and not yet freed, before the garbage collector looks for circles among them. Payments
leave none, and by Python's own limit of 700 each response would pay for the look at those of some hundred others."""
READY_SECONDS = 60.0
LOOK_SECONDS = 0.1

log = structlog.get_logger(__name__)


def serve(settings: Settings, worker: int = 0) -> int:
    """Serve until SIGTERM or SIGINT, then drain; returns the exit status."""
    configure_logs(settings.logs)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_serve(settings, worker))


async def _serve(settings: Settings, worker: int) -> int:
    service = settings.service
    tls = service.tls()
    app = make_app(settings)
    app[CONNECTIONS].max_open = raise_file_limit(service.max_connections)
    runner = _make_runner(app, service)
    stop = _on_signal()
    try:
        await runner.setup()
        site = web.TCPSite(
            runner,
            service.service_host,
            service.service_port,
            ssl_context=tls,
            backlog=BACKLOG,
            reuse_port=service.shares_port or None,
        )
        clash = runner.app[CODECS].failed
        ends: list[asyncio.Future[Any]] = [stop, clash]
        if service.share_port:
            await _ready_or(ends, runner.app)
        await site.start()
        # What was made until here stays: the collector need not look through it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(MAX_NEW_OBJECTS, *gc.get_threshold()[1:])
        log.info(
            "listening",
            addresses=[f"{site.name.partition(':')[0]}://{host}:{port}" for host, port, *_ in runner.addresses],
            worker=worker,
        )
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if clash.done():
            sys.stderr.write(f"service: {clash.result()}\n")
            return 1
        log.info("draining", worker=worker)
        return 0
    finally:
        # Stops accepting, waits for the answers under way, and only then ends the contexts: producer, view.
        await runner.cleanup()


def _make_runner(app: web.Application, service: ServiceSettings) -> Runner:
    return Runner(
        app,
        app[CONNECTIONS],
        app[EXCHANGES],
        access_log=None if service.access_log == "off" else logging.getLogger("service.access"),
        access_log_class=AccessLogger if service.access_log == "all" else ErrorAccessLogger,
        shutdown_timeout=service.deadline + 1,
        handle_signals=False,
        keepalive_timeout=service.keepalive_timeout,
    )


async def _ready_or(ends: list[asyncio.Future[Any]], app: web.Application) -> None:
    """Wait until the service can do its work, or is to end; whatever is missing after a while, it may say so itself."""

    async def is_ready() -> None:
        while missing_of(await check_all(app)):  # noqa: ASYNC110 - Kafka and the registry are asked, they do not tell
            await asyncio.sleep(LOOK_SECONDS)

    readiness = asyncio.create_task(is_ready())
    await asyncio.wait([readiness, *ends], timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    readiness.cancel()
    await asyncio.gather(readiness, return_exceptions=True)


def _on_signal() -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()

    def set_once() -> None:
        if not stop.done():
            stop.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, set_once)
    return stop

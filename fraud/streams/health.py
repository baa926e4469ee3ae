"""Metrics and health of a fraud process over HTTP, for anybody who reaches its address: there are no tokens.

The reasons why it is not ready name brokers, addresses and Kafka's user: they are for whoever is on this machine.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

import msgspec
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from fraud.settings import FraudSettings
from fraud.streams.worker import Worker
from schemas.errors import SettingsError

REASON_WITHHELD = "the log says why, and this address to whoever asks on the same machine"
PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "Via")


def make_app(workers: Sequence[Worker]) -> web.Application:
    """Make the application of three addresses.

    They are served by the loop that does the work: where that stands still, none answers.
    """

    async def live(request: web.Request) -> web.Response:
        return _answer(200, {"status": "live"})

    async def ready(request: web.Request) -> web.Response:
        reasons = await asyncio.gather(*(worker.missing() for worker in workers))
        informed = _is_from_this_machine(request)
        checks = {
            worker.stage.name: {"ok": reason is None}
            | ({"reason": reason if informed else REASON_WITHHELD} if reason else {})
            for worker, reason in zip(workers, reasons, strict=True)
        }
        return _answer(
            503 if any(reasons) else 200, {"status": "not ready" if any(reasons) else "ready", "checks": checks}
        )

    app = web.Application()
    app.add_routes(
        [
            web.get("/metrics", make_aiohttp_handler()),
            web.get("/health/live", live),
            web.get("/health/ready", ready),
        ]
    )
    return app


def _is_from_this_machine(request: web.Request) -> bool:
    """Tell whether no network lies between: a proxy on this machine may ask for somebody elsewhere."""
    try:
        local = ip_address(request.remote or "").is_loopback
    except ValueError:
        return False
    return local and not any(name in request.headers for name in PROXY_HEADERS)


def _answer(status: int, body: object) -> web.Response:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return web.Response(body=msgspec.json.encode(body), status=status, headers=headers)


@asynccontextmanager
async def served(workers: Sequence[Worker], settings: FraudSettings) -> AsyncIterator[None]:
    """Serve them until the end of the block; raises SettingsError if the address cannot be had."""
    runner = web.AppRunner(make_app(workers), access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.fraud_metrics_host, settings.fraud_metrics_port).start()
        except OSError as error:
            address = f"{settings.fraud_metrics_host}:{settings.fraud_metrics_port}"
            raise SettingsError(
                f"cannot serve metrics on {address}: {error.strerror}; choose another with FRAUD_METRICS_PORT"
            ) from error
        yield
    finally:
        await runner.cleanup()

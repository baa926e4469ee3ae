"""From a payment's POST to its case: on an idle stack, and while the whole way is under half of what it can bear."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from statistics import median, quantiles
from uuid import uuid4

import httpx

from benchmarks.edge import service
from benchmarks.results import Result, at_most
from benchmarks.servers import servers
from benchmarks.workers import FraudWorker, await_read
from fraud.detection.topology import BY_PAYOR
from fraud.rules import DAY_MS
from fraud.settings import FraudSettings
from schemas.case import case_id
from schemas.payment import Payment, encode_json

INTERVAL_MS = FraudSettings().fraud_commit_interval_ms
INTERVALS = 4
IDLE_INTERVALS = 2
FOR_MAXIMUM = 150_000
BATCH = 1000
TICK_SECONDS = 0.1
SECONDS = 30.0
PROBES_PER_TICK = 2
IDLE_TICKS = 5
"""Without load, probes come in every fifth tick."""
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 30.0
FIRST_PROBED = {False: 1_000_000_000, True: 1_500_000_000}
JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}


def posted_to_readable() -> list[Result]:
    """Milliseconds from POST to the case: the median on an idle stack, p99 at half of the maximum rate."""
    with servers() as running:
        port = service(running).port
        worker = FraudWorker(running, "underten", "run")
        idle = asyncio.run(_probed(port, 0))
        maximum = _maximum(port, worker)
        waits = asyncio.run(_probed(port, maximum / 2))
    name = f"ms from POST to case, p99 of {len(waits)}, at {maximum / 2:,.0f} payments a second, half of the maximum"
    return [
        _within(f"ms from POST to case, median of {len(idle)}, on an idle stack", median(idle), IDLE_INTERVALS),
        _within(name, quantiles(waits, n=100)[98], INTERVALS),
    ]


def _within(name: str, seconds: float, intervals: int) -> Result:
    return at_most(name, seconds * 1000, f"{intervals} commit intervals", intervals * INTERVAL_MS)


def ordinary() -> Iterator[Payment]:
    """Payments that make no case, each of another pair."""
    for number in itertools.count():
        yield Payment(str(uuid4()), "Bank", number % 1000, 12.5, "ACH", number)


def _maximum(port: int, worker: FraudWorker) -> float:
    """Payments a second through the service and both stages, posted as fast as the service takes them."""
    bodies = [_body(list(itertools.islice(ordinary(), BATCH))) for _ in range(FOR_MAXIMUM // BATCH)]
    began = time.monotonic()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        for body in bodies:
            client.post("/payment_json", content=body, headers=LINES).raise_for_status()
    return FOR_MAXIMUM / (await_read([worker], BY_PAYOR, FOR_MAXIMUM, 600) - began)


def _body(payments: Sequence[Payment]) -> bytes:
    return b"\n".join(encode_json(payment) for payment in payments)


async def _probed(port: int, rate: float) -> list[float]:
    """Seconds that each probe took, while `rate` payments a second come besides; without any, probes are fewer."""
    payments, number = ordinary(), itertools.count(FIRST_PROBED[rate > 0])
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        probes, loads = [], []
        began = time.monotonic()
        for tick in range(int(SECONDS / TICK_SECONDS)):
            await asyncio.sleep(began + tick * TICK_SECONDS - time.monotonic())
            if rate:
                body = _body(list(itertools.islice(payments, int(rate * TICK_SECONDS))))
                loads.append(asyncio.create_task(client.post("/payment_json", content=body, headers=LINES)))
            if rate or tick % IDLE_TICKS == 0:
                probes += [asyncio.create_task(_probe(client, next(number))) for _ in range(PROBES_PER_TICK)]
        for load in loads:
            (await load).raise_for_status()
        return await asyncio.gather(*probes)


async def _probe(client: httpx.AsyncClient, payor: int) -> float:
    """Time from the POST of the payment that crosses the line to the first answer that has the case."""
    pair = [Payment(str(uuid4()), "Probed", 1, 9000.0, "ACH", payor) for _ in range(2)]
    (await client.post("/payment_json", content=encode_json(pair[0]), headers=JSON)).raise_for_status()
    began = time.monotonic()
    receipt = (await client.post("/payment_json", content=encode_json(pair[1]), headers=JSON)).raise_for_status().json()
    day = receipt["timestamp"] // DAY_MS * DAY_MS
    address = f"/review-queue/{case_id('structuring', day, (payor, 'Probed', 1))}"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await client.get(address)).status_code != httpx.codes.OK:  # noqa: ASYNC110 - that is what is measured
            await asyncio.sleep(LOOK_SECONDS)
    return time.monotonic() - began

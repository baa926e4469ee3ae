"""Costs of a payment, with the shipped rules and an ordinary mix: the figures behind docs/capacity.md.

`python -m benchmarks.costs` measures them and prints them; what a number of payments a day needs follows in the page.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psutil
import uvloop
from aiokafka import AIOKafkaProducer

from benchmarks import backlog, past
from benchmarks.cpu import cpu_seconds
from benchmarks.edge import payments, service
from benchmarks.generator import answered, request
from benchmarks.results import Result, at_most
from benchmarks.servers import Servers, quiet, servers
from benchmarks.workers import FraudWorker, await_read
from fraud.comparison.lag import python_lag
from fraud.detection.partition_keys import payor_key
from fraud.detection.topology import BY_PAYOR
from schemas.codecs import payment_codecs
from schemas.kafka.topics import ALL_TOPICS, PAYMENT_JSON
from schemas.payment import Payment, encode_json
from schemas.registry import Registry

PAYMENTS = 600_000
DRIFT_SECONDS = 1800
"""So that batches are full, although the backlog is that of a whole day."""
TRICKLE = 116
"""Payments a second: ten million a day."""
TRICKLE_SECONDS = 20
SINGLES = 60_000
BATCH = 1000
POST_SECONDS = 3.0
TIMEOUT_SECONDS = 900.0
BYTES_PER_PAYMENT = 450
BROKER_OF_TWO_HOPS = 17
"""Microseconds, as measured before the ledger."""


class Costs(msgspec.Struct):
    """Costs of one payment, on the machine that it was measured on; CPU in microseconds."""

    payments: int
    fraud_cpu: float
    """Both stages, all shipped rules, full batches."""
    fraud_share: float
    """A share of one core, while ten million payments a day trickle in: the cost of committing ten times a second."""
    broker_share: float
    """The same of the broker."""
    broker_cpu: float
    """The broker's for the records that fraud reads and writes; one broker, one replica."""
    service_cpu_single: float
    service_cpu_batched: float
    ledger: float
    """Payments in both stages' ledgers at the end of a day, for each of its payments."""
    memory_bytes: float
    """Resident bytes of fraud."""
    cases: float
    """Records on review_queue."""
    disk_bytes: dict[str, float]
    """On each topic, one replica."""


def measure() -> Costs:
    """All of it: some minutes."""
    with servers() as running:
        single, batched = _service(running)
    with servers() as running:
        fraud, broker, ledger, memory, cases, shares = _fraud(running)
        disk = {topic: _size(running.home / "kafka" / "data", topic) / PAYMENTS for topic in ALL_TOPICS}
    return Costs(PAYMENTS, fraud, *shares, broker, single, batched, ledger, memory, cases, disk)


def broker_per_payment() -> list[Result]:
    """Bytes on all topics and CPU of the broker, for each payment of an ordinary day, all shipped rules."""
    with servers() as running:
        _, broker, *_ = _fraud(running)
        size = sum(_size(running.home / "kafka" / "data", topic) for topic in ALL_TOPICS) / PAYMENTS
    day = f"of a day of {PAYMENTS:,}, all shipped rules, one replica"
    return [
        at_most(f"bytes on all topics for each payment {day}", size, "bytes", BYTES_PER_PAYMENT),
        at_most(
            f"µs of the broker's CPU for what fraud reads and writes, for each payment {day}",
            broker,
            "with two hops and a record a window",
            BROKER_OF_TWO_HOPS,
        ),
    ]


def _service(running: Servers) -> tuple[float, float]:
    """CPU microseconds of a payment that is posted alone, and of one in a batch."""
    port = service(running).port
    child = psutil.Process(running.started["service"].process.pid)
    lines = [encode_json(payment) for payment in payments(SINGLES)]
    singles = [request("/payment_json", "application/json", line) for line in lines]
    lines = [encode_json(payment) for payment in payments(10 * SINGLES)]
    bodies = [b"\n".join(lines[at : at + BATCH]) for at in range(0, len(lines), BATCH)]
    batches = [request("/payment_json", "application/x-ndjson", body) for body in bodies]
    return (
        _cpu_per(child, lambda: uvloop.run(answered(port, singles, 64, POST_SECONDS))),
        _cpu_per(child, lambda: uvloop.run(answered(port, batches, 2, POST_SECONDS)) * BATCH),
    )


def _cpu_per(process: psutil.Process, work: Callable[[], float]) -> float:
    before = cpu_seconds(process)
    units = work()
    return (cpu_seconds(process) - before) / units * 1e6


def _fraud(running: Servers) -> tuple[float, float, float, float, float, tuple[float, float]]:
    """CPU of fraud and of the broker, payments in ledgers, bytes of memory, case records, all for each payment; and the
    shares of a core that both take under a trickle.
    """
    asyncio.run(_fill(running))
    broker = psutil.Process(running.broker.process.pid)
    worker = FraudWorker(running, "costs", "run", rules=None, drift_seconds=DRIFT_SECONDS)
    cpu, broker_cpu, resident = worker.cpu_seconds(), cpu_seconds(broker), worker.resident()
    await_read([worker], BY_PAYOR, PAYMENTS, TIMEOUT_SECONDS)
    asyncio.run(_await_no_lag(running))
    figures = worker.figures()
    ledger = sum(count for (name, _), count in figures.items() if name == "underten_ledger_payments")
    cases = sum(count for (name, _), count in figures.items() if name == "underten_cases_written_total")
    fraud_cpu, broker_cpu = worker.cpu_seconds() - cpu, cpu_seconds(broker) - broker_cpu
    return (
        fraud_cpu / PAYMENTS * 1e6,
        broker_cpu / PAYMENTS * 1e6,
        ledger / PAYMENTS,
        (worker.resident() - resident) / PAYMENTS,
        cases / PAYMENTS,
        _trickle(running, worker, broker),
    )


async def _await_no_lag(running: Servers) -> None:
    """Wait for the stage by payee, too; raises TimeoutError."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while await python_lag(running.kafka, "costs"):  # noqa: ASYNC110 - Kafka tells nobody
            await asyncio.sleep(0.1)


def _trickle(running: Servers, worker: FraudWorker, broker: psutil.Process) -> tuple[float, float]:
    """Shares of a core, of fraud and the broker."""
    fraud, kafka, began = worker.cpu_seconds(), cpu_seconds(broker), time.monotonic()
    asyncio.run(_send_slowly(running))
    fraud, kafka, seconds = worker.cpu_seconds() - fraud, cpu_seconds(broker) - kafka, time.monotonic() - began
    return fraud / seconds, kafka / seconds


async def _send_slowly(running: Servers) -> None:
    codec = (await payment_codecs(Registry(running.registry)))[PAYMENT_JSON]
    async with AIOKafkaProducer(**running.kafka.client_options(), linger_ms=2) as producer:
        began = time.monotonic()
        for number, payment in enumerate(payments(TRICKLE * TRICKLE_SECONDS)):
            await asyncio.sleep(max(0.0, began + number / TRICKLE - time.monotonic()))
            await producer.send(PAYMENT_JSON, codec.encode(payment), payor_key(payment.payor_account_no))


async def _fill(running: Servers) -> None:
    await backlog.make_topics(running.kafka)
    await backlog.write(running.kafka, Registry(running.registry), _yesterday(running.home / "truth.ndjson"))


def _yesterday(truth: Path) -> Iterator[tuple[int, Payment]]:
    """A day of a made-up past, each payment with its time."""
    day = (datetime.now(UTC) - timedelta(days=1)).date()
    for line in past.lines(truth, payments=PAYMENTS, days=1, first_day=day):
        yield msgspec.json.decode(line)["timestamp"], msgspec.json.decode(line, type=Payment)


def _size(data: Path, topic: str) -> int:
    """Bytes of a topic's segments."""
    return sum(file.stat().st_size for file in data.glob(f"{topic}-[0-9]*/*.log"))


if __name__ == "__main__":
    quiet()
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(measure())).decode() + "\n")

"""All rules at once, in both engines: payments per CPU second over the same backlog.

The windows that fired are counted, Python's on `review_queue`, those of Kafka Streams on the rules' sinks: a peer that
has found others is no peer. Start-up counts for Python, and does not for Kafka Streams.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from uuid import UUID

import msgspec
import psutil

from benchmarks import backlog
from benchmarks.peers import cases
from benchmarks.peers.kafka_streams import java_command
from benchmarks.peers.running import PeerFailed, PeerMissing
from benchmarks.results import Result, at_least_times, skipped
from benchmarks.servers import Servers, servers
from benchmarks.stages import ROUNDS, SCALE, TIMEOUT_SECONDS
from benchmarks.workers import FraudWorker, NotThrough
from fraud.commands.rules import meaning
from fraud.comparison.lag import python_lag, unread
from fraud.comparison.rows import SINK
from fraud.rules import load
from schemas.kafka.groups import consumer_groups
from schemas.kafka.reading import offset_bounds
from schemas.kafka.topics import RAW_TOPICS, REVIEW_QUEUE
from schemas.payment import Payment
from schemas.registry import Registry

PAYMENTS = int(300_000 * SCALE)
AMOUNTS = (2000.01, 9500.00, 3500.00, 700.00, 9900.50, 4200.25, 12_000.00)
PAYORS = PAYMENTS // 12
ASK_SECONDS = 0.5
GOAL = 1.5
PEER = "Kafka Streams, the same rules, RocksDB"


def payments(count: int) -> Iterator[tuple[int, Payment]]:
    """Payments of all amounts among some payors and payees, within one UTC day, yesterday."""
    for number, (at_ms, _) in enumerate(backlog.payments(count, count)):
        payor, round_ = number % PAYORS, number // PAYORS
        payee = f"Bank {payor % 7}", (payor + round_ % 3) % 1000
        amount = AMOUNTS[(payor + round_) % len(AMOUNTS)]
        yield at_ms, Payment(str(UUID(int=number)), *payee, amount, "ACH", 100_000 + payor)


def all_rules() -> list[Result]:
    """All rules in both engines: payments per CPU second over a backlog."""
    name = f"payments per CPU second, {len(load())} rules, exactly once, {PAYMENTS:,} payments"
    rates: list[float] = []
    references: list[float] = []
    for _ in range(ROUNDS):
        with servers() as running:  # anew, because the sinks are to be empty
            asyncio.run(_fill(running))
            try:
                reference, windows = _kafka_streams(running)
            except (PeerMissing, PeerFailed) as error:
                return [skipped(name, PEER, GOAL, str(error))]
            rate, own_windows = _python(running)
        if windows != own_windows:
            return [skipped(name, PEER, GOAL, f"it found {windows:,} windows, and Python {own_windows:,}")]
        rates.append(rate)
        references.append(reference)
    return [at_least_times(name, rates, PEER, references, GOAL)]


async def _fill(running: Servers) -> None:
    await backlog.make_topics(running.kafka)
    await backlog.write(running.kafka, Registry(running.registry), payments(PAYMENTS))


def _python(running: Servers) -> tuple[float, int]:
    """Payments per CPU second, and how many windows fired."""
    worker = FraudWorker(running, "rules", "run", rules=None)
    _await_zero(lambda: python_lag(running.kafka, "rules"))
    rate = PAYMENTS / worker.cpu_seconds()
    worker.stop()
    return rate, cases.count(running.kafka, REVIEW_QUEUE)


def _kafka_streams(running: Servers) -> tuple[float, int]:
    """The same of the peer. Raises PeerMissing, PeerFailed."""
    rules, app = load(), "peer"
    sinks = [SINK + rule.name for rule in rules]
    asyncio.run(cases.make(running.kafka, sinks))
    file = running.home / "rules.json"
    file.write_bytes(msgspec.json.encode([meaning(rule) for rule in rules]))
    state = running.home / app
    arguments = [
        running.kafka.kafka_bootstrap_servers,
        app,
        str(state),
        running.registry.schema_registry_url,
        str(file),
    ]
    child = running.start(app, [*java_command("RulesPeer"), *arguments])
    repartitioned = [f"{app}-{rule.name}-repartition" for rule in rules]

    async def lag() -> int:
        child.check()
        group = (await consumer_groups(running.kafka, [app]))[app]
        bounds = await offset_bounds(running.kafka, [*RAW_TOPICS, *repartitioned])
        started = {partition.topic for partition in bounds} >= {*repartitioned}
        return await unread(running.kafka, group.offsets, bounds) if started else PAYMENTS

    _await_zero(lag)
    times = psutil.Process(child.process.pid).cpu_times()
    child.stop()
    startup = _startup_cpu_seconds(child.log)
    windows = sum(cases.count(running.kafka, sink) for sink in sinks)
    return PAYMENTS / (times.user + times.system - startup), windows


def _startup_cpu_seconds(log: Path) -> float:
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            return float(line)
        except ValueError:
            continue
    raise PeerFailed("the peer has not said what its start took")


def _await_zero(lag: Callable[[], Awaitable[int]]) -> None:
    """Wait until everything is read and committed; raises NotThrough."""

    async def ask() -> int:
        return await lag()

    until = time.monotonic() + TIMEOUT_SECONDS
    while asyncio.run(ask()):
        if time.monotonic() > until:
            raise NotThrough(f"not everything is read after {TIMEOUT_SECONDS:.0f} s")
        time.sleep(ASK_SECONDS)

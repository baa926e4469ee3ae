"""Fraud's stages on a backlog: against other stream processors, against more windows, against one worker alone.

What is compared with a peer is payments per CPU second, so that it does not matter how much of the machine the broker
takes. Start-up counts for us, and does not for the peers.
"""

import asyncio
import os
import time
from collections.abc import Iterable, Mapping

from benchmarks import backlog
from benchmarks.peers import cases
from benchmarks.peers.kafka_streams import KAFKA_STREAMS, KAFKA_STREAMS_SUMS
from benchmarks.peers.python_peers import FAUST, QUIX
from benchmarks.peers.running import Peer, PeerFailed, PeerMissing, run
from benchmarks.results import Result, at_least, at_least_times, skipped
from benchmarks.servers import Servers, servers
from benchmarks.workers import FraudWorker, await_read, committed_rate
from fraud.detection.topology import BY_PAYOR, consumer_group
from schemas.kafka.topics import PAYMENT_JSON, REVIEW_QUEUE
from schemas.payment import Payment
from schemas.registry import Registry

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
PAYMENTS = int(3_000_000 * SCALE)
PAIRS = PAYMENTS // 6
FOR_FAUST = int(90_000 * SCALE)
FOR_QUIX = int(1_200_000 * SCALE)
"""So many that our own start does not matter."""
FOR_WORKERS = 600_000
WORKERS_PAIRS_IN_TURN = 1000
"""So that any stretch of the backlog is as much work as any other: two workers are not seen at the one's."""
WORKER_SHARE = 0.3
"""Of a core, which each of several workers has: neither broker nor cores are what they wait for."""
ROUNDS = 2
"""Of comparisons that take minutes each."""
TIMEOUT_SECONDS = 900.0
FEW, MANY, MOST = int(10_000 * SCALE), int(300_000 * SCALE), PAYMENTS
"""Payments in the ledger: where the first stretch begins, how long a stretch is, how many there are at the end."""

OURS = "payments per CPU second, both stages, exactly once"


def fill(running: Servers, payments: Iterable[tuple[int, Payment]]) -> None:
    """The backlog."""
    asyncio.run(_fill(running, payments))


async def _fill(running: Servers, payments: Iterable[tuple[int, Payment]]) -> None:
    await backlog.make_topics(running.kafka)
    await backlog.write(running.kafka, Registry(running.registry), payments)


def exactly_once_rate(running: Servers, app: str, payments: int, pairs: int) -> float:
    """Payments per CPU second of one process with both stages, its start included."""
    asyncio.run(backlog.make_topics(running.kafka))
    worker = FraudWorker(running, app, "run")
    await_read([worker], BY_PAYOR, payments, TIMEOUT_SECONDS)
    rate = payments / worker.cpu_seconds()
    worker.stop()
    _check(app, cases.count(running.kafka, REVIEW_QUEUE), pairs)
    return rate


def peer_rate(running: Servers, peer: Peer, payments: int, pairs: int) -> float:
    """The same of a peer, its start left out; raises PeerMissing, PeerFailed."""
    measured = run(peer, running.kafka, payments, TIMEOUT_SECONDS)
    _check(peer.name, measured.cases, pairs)
    return measured.per_cpu_second


def _check(who: str, cases: int, expected: int) -> None:
    if cases != expected:
        raise PeerFailed(f"{who} found {cases:,} cases, not {expected:,}: its speed says nothing")


def against_kafka_streams() -> list[Result]:
    """Both stages against Kafka Streams: payments per CPU second over a backlog."""
    return _taking_turns({KAFKA_STREAMS: 2.0, KAFKA_STREAMS_SUMS: 1.0}, PAYMENTS)


def against_python_peers() -> list[Result]:
    """Both stages against Quix Streams and Faust: payments per CPU second over smaller backlogs."""
    return _taking_turns({QUIX: 5.0}, FOR_QUIX) + _taking_turns({FAUST: 5.0}, FOR_FAUST)


def _taking_turns(goals: Mapping[Peer, float], payments: int) -> list[Result]:
    """Each peer and then ourselves, round by round; what a peer should be beaten by is its goal."""
    values: list[float] = []
    references: dict[Peer, list[float]] = {peer: [] for peer in goals}
    missing: dict[Peer, str] = {}
    with servers() as running:
        fill(running, backlog.payments(payments, payments // 6))
        for number in range(ROUNDS):
            for peer in goals.keys() - missing.keys():
                try:
                    references[peer].append(peer_rate(running, peer, payments, payments // 6))
                except (PeerMissing, PeerFailed) as error:
                    missing[peer] = str(error)
            values.append(exactly_once_rate(running, f"ours-{number}", payments, payments // 6))
    name = f"{OURS}, {payments:,} payments"
    return [
        skipped(name, peer.title, goal, missing[peer])
        if peer in missing
        else at_least_times(name, values, peer.title, references[peer], goal)
        for peer, goal in goals.items()
    ]


def as_the_ledger_grows() -> list[Result]:
    """The stage by payor while its ledger grows: payments per CPU second at the end against the beginning."""
    with servers() as running:
        fill(running, backlog.payments(PAYMENTS, PAYMENTS))
        worker = FraudWorker(running, "growing", "normalise")
        first = _stretch(worker, FEW, FEW + MANY)
        last = _stretch(worker, MOST - MANY, MOST)
        name = f"payments per CPU second with {MOST - MANY:,} to {MOST:,} payments in the ledger"
        return [at_least(name, last, f"with {FEW:,} to {FEW + MANY:,}", first, 0.75)]


def _stretch(worker: FraudWorker, begin: int, end: int) -> float:
    """Payments per CPU second while the ledger has about so many."""
    payments, cpu = _await_payments(worker, begin)
    more, cpu_then = _await_payments(worker, end)
    return (more - payments) / (cpu_then - cpu)


def _await_payments(worker: FraudWorker, count: int) -> tuple[float, float]:
    """Wait for this many payments in the ledger; their number then, and the CPU seconds until then."""
    until = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < until:
        cpu = worker.cpu_seconds()
        if (payments := worker.figures()["underten_ledger_payments", BY_PAYOR]) >= count:
            return payments, cpu
        time.sleep(0.05)
    raise TimeoutError(f"not {count:,} payments within {TIMEOUT_SECONDS:.0f} s")


def two_workers() -> list[Result]:
    """Two processes against one, each held to a share of a core: payments a second of wall clock over a backlog."""
    with servers() as running:
        fill(running, backlog.payments(FOR_WORKERS, FOR_WORKERS // 6, WORKERS_PAIRS_IN_TURN))
        turns = [(_workers_rate(running, number, 2), _workers_rate(running, number, 1)) for number in range(ROUNDS)]
    two, one = zip(*turns, strict=True)
    name = f"payments a second through two workers, each held to {WORKER_SHARE:.0%} of a core"
    return [at_least_times(name, two, "one worker", one, 1.7)]


def _workers_rate(running: Servers, number: int, count: int) -> float:
    """From the moment when each worker has its share of the tasks until nearly all is read."""
    asyncio.run(backlog.make_topics(running.kafka))
    app = f"scale-{number}-{count}"
    workers = [FraudWorker(running, app, "run", share=WORKER_SHARE) for _ in range(count)]
    for worker in workers:
        worker.await_tasks(BY_PAYOR, backlog.PARTITIONS // count)
    group, until = consumer_group(app, BY_PAYOR), int(0.9 * FOR_WORKERS)
    rate = asyncio.run(committed_rate(running.kafka, group, PAYMENT_JSON, until, TIMEOUT_SECONDS))
    for worker in workers:
        worker.stop()
    return rate

"""The HTTP edge on a real Kafka: single payments against an app that only decodes and answers, batches against the
producer itself. What is compared takes turns, so that what else the machine does falls on both. Each row stands twice:
by the rate, for which broker, generator and service share the machine, and by the CPU of the measured process alone.
"""

import asyncio
import json
import signal
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import psutil
import stamina
import uvloop
from aiokafka import AIOKafkaProducer

from benchmarks import peers
from benchmarks.cpu import cpu_limit, cpu_seconds
from benchmarks.generator import answered, request
from benchmarks.peers.environments import environment
from benchmarks.peers.running import PeerMissing
from benchmarks.results import Result, at_least_times, skipped
from benchmarks.servers import Servers, servers
from compose.addresses import free_port
from compose.child import Child
from schemas.codecs import AvroCodec, ProtobufCodec
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_AVRO, PAYMENT_JSON, PAYMENT_PROTOBUF
from schemas.payment import Payment, encode_json

CONNECTIONS = 64
ROUNDS = 5
ROUND_SECONDS = 3.0
BATCH = 1000
BATCH_CONNECTIONS = 2
SENT = 30_000
"""Payments that the producer is fed in a round."""
SENT_SINGLY = 100_000
SENT_IN_BATCHES = 1_500_000
"""Payments that are there to be posted in a round, more than can be: each is posted once, or the service would answer
from its receipts."""
SINGLE = "single POSTs {}, {}, " + f"{CONNECTIONS} connections"
LIMIT_SHARE = 0.3
LIMIT_CONNECTIONS = 2 * CONNECTIONS
RATE, BY_CPU = "a second", "per CPU second"
BATCHES = f"payments {{}} in batches of {BATCH:,}, {{}}"
BARE = "aiohttp that only decodes and answers"
SEND = "aiokafka's producer, send() of ready bytes"
FASTAPI = "FastAPI, uvicorn, confluent-kafka"
FRAME = b"\0\0\0\0\1"

Encode = Callable[[Payment], bytes]

FORMATS: tuple[tuple[str, str, Encode, float, float], ...] = (
    (PAYMENT_JSON, "application/json", encode_json, 0.70, 1.8),
    (PAYMENT_AVRO, "avro/binary", AvroCodec(b"").encode, 0.75, 1.2),
    (PAYMENT_PROTOBUF, "application/x-protobuf", ProtobufCodec(b"").encode, 0.75, 1.5),
)
"""Topic, media type and encoder of a format; the goals of single payments and of batches."""


@dataclass(frozen=True)
class Edge:
    """A server that takes payments: its port, and its process."""

    port: int
    process: psutil.Process

    def processes(self) -> list[psutil.Process]:
        """List those that take payments: the workers, or the process itself where it has none."""
        children = self.process.children()
        # Python starts another one beside them, which keeps account of what they share.
        return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())] or [self.process]

    def cpu_seconds(self) -> float:
        """Read the CPU time, user and system, of the process and its children."""
        return cpu_seconds(self.process) + sum(map(cpu_seconds, self.process.children(recursive=True)))


@dataclass(frozen=True)
class Round:
    """Payments of a round, in a time, for a CPU time."""

    payments: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Payments a second."""
        return self.payments / self.seconds

    @property
    def per_cpu_second(self) -> float:
        """Payments per CPU second."""
        return self.payments / self.cpu_seconds


Measure = Callable[[], Awaitable[Round]]


def service(running: Servers, program: Sequence[str] = ("service",), **settings: str) -> Edge:
    """Start a service, by this module with its arguments, and wait until it is ready."""
    port = free_port()
    addresses = {"SERVICE_PORT": str(port), "QUEUE_VIEW": str(running.home / f"view-{port}.sqlite")}
    child = running.start("service", [sys.executable, "-m", *program], **addresses, **settings)
    _await_answer(child, f"http://127.0.0.1:{port}/health/ready")
    return Edge(port, psutil.Process(child.process.pid))


def bare(running: Servers) -> Edge:
    """Start the app that only decodes and answers."""
    port = free_port()
    child = running.start("bare app", [sys.executable, "-m", "benchmarks.bare", str(port)])
    _await_answer(child, f"http://127.0.0.1:{port}/ready")
    return Edge(port, psutil.Process(child.process.pid))


def fastapi(running: Servers) -> Edge:
    """Start FastAPI's edge, its topic made; raises PeerMissing."""
    port = free_port()
    servers_named = running.kafka.kafka_bootstrap_servers
    script = Path(peers.__file__).with_name("fastapi_edge.py")
    child = running.start("fastapi", [str(environment("fastapi")), str(script), str(port), servers_named, PAYMENT_JSON])
    _await_answer(child, f"http://127.0.0.1:{port}/ready")
    return Edge(port, psutil.Process(child.process.pid))


@stamina.retry(on=httpx.TransportError, timeout=60, wait_max=0.5, attempts=None)
def _await_answer(child: Child, address: str) -> None:
    """Any answer but 503 will do."""
    child.check()
    if httpx.get(address, trust_env=False).status_code == httpx.codes.SERVICE_UNAVAILABLE:
        raise httpx.ConnectError("not ready")


def payments(count: int) -> list[Payment]:
    """Payments, so many, of many payors."""
    return [
        Payment(str(uuid.uuid4()), f"Bank {number % 50}", number % 99_991, 4000.01, "ACH", 100_000 + number)
        for number in range(count)
    ]


def single_payments() -> list[Result]:
    """Single payments, 64 connections, acks=all; against an aiohttp app that only decodes and answers."""
    with servers() as running:
        edge, reference = service(running), bare(running)
        return [
            result
            for topic, media_type, encode, goal, _ in FORMATS
            for result in _singles(edge, reference, topic, media_type, encode, BARE, goal)
        ]


def against_fastapi() -> list[Result]:
    """Single payments against FastAPI with confluent-kafka."""
    topic, media_type, encode, *_ = FORMATS[0]
    with servers() as running:
        edge = service(running)
        try:
            reference = fastapi(running)
        except PeerMissing as error:
            return [skipped(SINGLE.format(RATE, "json"), FASTAPI, 2.5, str(error))]
        return _singles(edge, reference, topic, media_type, encode, FASTAPI, 2.5)


def _singles(
    edge: Edge, reference: Edge, topic: str, media_type: str, encode: Encode, against: str, goal: float
) -> list[Result]:
    """Measure both in turn."""

    async def measure(server: Edge) -> Round:
        posts = [request(f"/{topic}", media_type, encode(payment)) for payment in payments(SENT_SINGLY)]
        return await _posted(server, posts, CONNECTIONS)

    rounds = uvloop.run(_taking_turns(partial(measure, edge), partial(measure, reference)))
    return _compared(SINGLE, _format(topic), against, rounds, goal)


async def _posted(server: Edge, posts: Sequence[bytes], connections: int, payments_each: int = 1) -> Round:
    began, cpu_began = time.monotonic(), server.cpu_seconds()
    number = payments_each * await answered(server.port, posts, connections, ROUND_SECONDS)
    return Round(number, time.monotonic() - began, server.cpu_seconds() - cpu_began)


def _compared(
    name: str, variant: str, against: str, rounds: tuple[list[Round], list[Round]], goal: float
) -> list[Result]:
    """Compare rounds by CPU, and by rate."""
    measured, reference = rounds
    kinds: list[tuple[str, Callable[[Round], float]]] = [
        (BY_CPU, lambda turn: turn.per_cpu_second),
        (RATE, lambda turn: turn.rate),
    ]
    return [
        at_least_times(
            name.format(kind, variant), list(map(value, measured)), against, list(map(value, reference)), goal
        )
        for kind, value in kinds
    ]


def batches() -> list[Result]:
    """Payments a second in NDJSON batches of 1,000; against aiokafka's producer fed with ready bytes by send()."""
    return _batches("")


def batches_without_receipts() -> list[Result]:
    """Payments a second in batches while no receipts are kept: a payment that is sent again is produced again."""
    return _batches(", no receipts kept", REPLAY_SECONDS="0")


def _batches(how: str, **settings: str) -> list[Result]:
    results = []
    with servers() as running:
        edge = service(running, **settings)
        for topic, _, encode, _, goal in FORMATS:
            records = [(str(payment.payor_account_no).encode(), FRAME + encode(payment)) for payment in payments(SENT)]
            rounds = uvloop.run(
                _taking_turns(partial(_post_batches, edge, topic), partial(_feed, running.kafka, topic, records))
            )
            results += _compared(BATCHES, _format(topic) + how, SEND, rounds, goal)
    return results


async def _post_batches(edge: Edge, topic: str) -> Round:
    """Post batches; no payment is sent twice."""
    lines = [encode_json(payment) for payment in payments(SENT_IN_BATCHES)]
    posts = [
        request(f"/{topic}", "application/x-ndjson", b"\n".join(lines[at : at + BATCH]))
        for at in range(0, len(lines), BATCH)
    ]
    return await _posted(edge, posts, BATCH_CONNECTIONS, BATCH)


def two_service_workers() -> list[Result]:
    """Single payments through WORKERS=2 against one process, each held to a share of a core."""
    topic, media_type, encode, *_ = FORMATS[0]

    async def measure(edge: Edge) -> Round:
        posts = [request(f"/{topic}", media_type, encode(payment)) for payment in payments(SENT_SINGLY)]
        with cpu_limit(edge.processes(), LIMIT_SHARE):
            return await _posted(edge, posts, LIMIT_CONNECTIONS)

    with servers() as running:
        two, one = service(running, WORKERS="2"), service(running)
        rounds = uvloop.run(_taking_turns(partial(measure, two), partial(measure, one)))
    name = f"single POSTs a second, WORKERS=2, {LIMIT_CONNECTIONS} connections, {LIMIT_SHARE:.0%} of a core each"
    two_rates, one_rates = ([turn.rate for turn in turns] for turns in rounds)
    return [at_least_times(name, two_rates, f"one process, {LIMIT_SHARE:.0%} of a core", one_rates, 1.6)]


def _format(topic: str) -> str:
    return topic.removeprefix("payment_")


async def _taking_turns(measure: Measure, measure_reference: Measure) -> tuple[list[Round], list[Round]]:
    """Measure both, round by round; the first round warms up and is left out."""
    await measure(), await measure_reference()
    rounds = [(await measure(), await measure_reference()) for _ in range(ROUNDS)]
    return [pair[0] for pair in rounds], [pair[1] for pair in rounds]


async def _feed(kafka: KafkaSettings, topic: str, records: Sequence[tuple[bytes, bytes]]) -> Round:
    """Feed a producer of its own, as the service has it: idempotent, acks=all."""
    async with AIOKafkaProducer(
        **kafka.client_options(), enable_idempotence=True, acks="all", linger_ms=2, max_batch_size=262_144
    ) as client:
        await client.partitions_for(topic)
        began, cpu_began = time.monotonic(), time.process_time()
        reports = [await client.send(topic, value, key) for key, value in records]
        await asyncio.gather(*reports)
        return Round(len(records), time.monotonic() - began, time.process_time() - cpu_began)


def edge_profile() -> list[Result]:
    """CPU microseconds of a single POST in JSON, by layer of the service."""
    with servers() as running:
        file = running.home / "samples.json"
        edge = service(running, ("benchmarks.sampled_service", str(file)))
        lines = [encode_json(payment) for payment in payments(SENT_SINGLY)]
        posts = [request(f"/{PAYMENT_JSON}", "application/json", line) for line in lines]
        edge.process.send_signal(signal.SIGUSR1)
        turn = uvloop.run(_posted(edge, posts, CONNECTIONS))
        running.started["service"].stop()
        samples: dict[str, int] = json.loads(file.read_text())
    total, samples_total = 1e6 * turn.cpu_seconds / turn.payments, sum(samples.values())
    shares = sorted(((number / samples_total, layer) for layer, number in samples.items()), reverse=True)
    return [
        Result(f"CPU µs of a single POST, {layer}", total * share, "all layers", total, share, "", reached=True)
        for share, layer in shares
    ]

"""The HTTP edge on a real Kafka: single payments against an app that only decodes and answers, batches against the
producer itself. What is compared takes turns, so that what else the machine does falls on both.
"""

import asyncio
import itertools
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import httpx
import stamina
import uvloop
from aiokafka import AIOKafkaProducer

from benchmarks import peers
from benchmarks.generator import rate, request
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
SENT_IN_BATCHES = 900_000
"""Payments that are there to be posted in a round, more than can be: each is posted once, or the service would answer
from its receipts."""
SINGLE = "single POSTs a second, {}, " + f"{CONNECTIONS} connections"
FASTAPI = "FastAPI, uvicorn, confluent-kafka"
FRAME = b"\0\0\0\0\1"

FORMATS: tuple[tuple[str, str, Callable[[Payment], bytes], float, float], ...] = (
    (PAYMENT_JSON, "application/json", encode_json, 0.75, 2.0),
    (PAYMENT_AVRO, "avro/binary", AvroCodec(b"").encode, 0.65, 1.2),
    (PAYMENT_PROTOBUF, "application/x-protobuf", ProtobufCodec(b"").encode, 0.65, 1.2),
)
"""Topic, media type and encoder of a format; the goals of single payments and of batches."""

Measure = Callable[[], Awaitable[float]]


def service(running: Servers, **settings: str) -> int:
    """The port of a service that is ready."""
    port = free_port()
    addresses = {"SERVICE_PORT": str(port), "QUEUE_VIEW": str(running.home / f"view-{port}.sqlite")}
    child = running.start("service", [sys.executable, "-m", "service"], **addresses, **settings)
    _await_answer(child, f"http://127.0.0.1:{port}/health/ready")
    return port


def bare(running: Servers) -> int:
    """The port of the app that only decodes and answers."""
    port = free_port()
    child = running.start("bare app", [sys.executable, "-m", "benchmarks.bare", str(port)])
    _await_answer(child, f"http://127.0.0.1:{port}/ready")
    return port


def fastapi(running: Servers) -> int:
    """The port of FastAPI's edge, its topic made; raises PeerMissing."""
    port = free_port()
    servers_named = running.kafka.kafka_bootstrap_servers
    script = Path(peers.__file__).with_name("fastapi_edge.py")
    child = running.start("fastapi", [str(environment("fastapi")), str(script), str(port), servers_named, PAYMENT_JSON])
    _await_answer(child, f"http://127.0.0.1:{port}/ready")
    return port


@stamina.retry(on=httpx.TransportError, timeout=60, wait_max=0.5, attempts=None)
def _await_answer(child: Child, address: str) -> None:
    """Any answer but 503 will do."""
    child.check()
    if httpx.get(address, trust_env=False).status_code == httpx.codes.SERVICE_UNAVAILABLE:
        raise httpx.ConnectError("not ready")


def payments(count: int) -> list[Payment]:
    """As many payments, of many payors."""
    return [
        Payment(str(uuid.uuid4()), f"Bank {number % 50}", number % 99_991, 4000.01, "ACH", 100_000 + number)
        for number in range(count)
    ]


def single_payments() -> list[Result]:
    """Single payments a second, 64 connections, acks=all; against an aiohttp app that only decodes and answers."""
    with servers() as running:
        port, reference = service(running), bare(running)
        return [
            _singles(port, reference, topic, kind, encode, "aiohttp that only decodes and answers", goal)
            for topic, kind, encode, goal, _ in FORMATS
        ]


def against_fastapi() -> list[Result]:
    """Single payments a second against FastAPI with confluent-kafka."""
    name, kind, encode, *_ = FORMATS[0]
    with servers() as running:
        port = service(running)
        try:
            reference = fastapi(running)
        except PeerMissing as error:
            return [skipped(SINGLE.format("json"), FASTAPI, 2.5, str(error))]
        return [_singles(port, reference, name, kind, encode, FASTAPI, 2.5)]


def _singles(
    port: int, reference: int, topic: str, kind: str, encode: Callable[[Payment], bytes], against: str, goal: float
) -> Result:
    """Both ports in turn."""

    async def measure(port: int) -> float:
        posts = [request(f"/{topic}", kind, encode(payment)) for payment in payments(SENT_SINGLY)]
        return await rate(port, posts, CONNECTIONS, ROUND_SECONDS)

    values, references = uvloop.run(_taking_turns(partial(measure, port), partial(measure, reference)))
    return at_least_times(SINGLE.format(_format(topic)), values, against, references, goal)


def batches() -> list[Result]:
    """Payments a second in NDJSON batches of 1,000; against aiokafka's producer fed with ready bytes by send()."""
    return _batches("")


def batches_without_receipts() -> list[Result]:
    """The same while no receipts are kept: a payment that is sent again is produced again."""
    return _batches(", no receipts kept", REPLAY_SECONDS="0")


def _batches(how: str, **settings: str) -> list[Result]:
    results = []
    with servers() as running:
        port = service(running, **settings)
        for topic, _, encode, _, goal in FORMATS:
            ready = [(str(payment.payor_account_no).encode(), FRAME + encode(payment)) for payment in payments(SENT)]
            batch_rate = partial(_batch_rate, port, topic)
            values, references = uvloop.run(_taking_turns(batch_rate, partial(_fed, running.kafka, topic, ready)))
            name = f"payments a second in batches of {BATCH:,}, {_format(topic)}{how}"
            results.append(at_least_times(name, values, "aiokafka's producer, send() of ready bytes", references, goal))
    return results


async def _batch_rate(port: int, topic: str) -> float:
    """Payments a second; none is sent twice."""
    lines = [encode_json(payment) for payment in payments(SENT_IN_BATCHES)]
    posts = [
        request(f"/{topic}", "application/x-ndjson", b"\n".join(lines[at : at + BATCH]))
        for at in range(0, len(lines), BATCH)
    ]
    return BATCH * await rate(port, posts, BATCH_CONNECTIONS, ROUND_SECONDS)


def _format(topic: str) -> str:
    return topic.removeprefix("payment_")


async def _taking_turns(one: Measure, other: Measure) -> tuple[list[float], list[float]]:
    """Both, round by round; the first round warms up and is left out."""
    await one(), await other()
    rounds = [(await one(), await other()) for _ in range(ROUNDS)]
    return [first for first, _ in rounds], [second for _, second in rounds]


async def _fed(kafka: KafkaSettings, topic: str, ready: Sequence[tuple[bytes, bytes]]) -> float:
    """Records a second through a producer of its own, as the service has it: idempotent, acks=all."""
    async with AIOKafkaProducer(
        **kafka.client_options(), enable_idempotence=True, acks="all", linger_ms=2, max_batch_size=262_144
    ) as client:
        await client.partitions_for(topic)
        began = time.monotonic()
        sent = [await client.send(topic, value, key) for key, value in itertools.islice(itertools.cycle(ready), SENT)]
        await asyncio.gather(*sent)
        return SENT / (time.monotonic() - began)

"""The HTTP edge on a real Kafka: single payments against an app that only decodes and answers, batches against the
producer itself. What is compared takes turns, so that what else the machine does falls on both.
"""

import asyncio
import itertools
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import stamina
import uvloop
from aiokafka import AIOKafkaProducer

from benchmarks.generator import rate, request
from benchmarks.results import Result, at_least_times
from compose.addresses import free_port
from compose.child import Child
from compose.kafka import start_kafka
from compose.registry import API, start_registry
from schemas.codecs import AvroCodec, ProtobufCodec
from schemas.kafka import KafkaSettings
from schemas.payment import Payment, encode_json
from schemas.topics import PAYMENT_AVRO, PAYMENT_JSON, PAYMENT_PROTOBUF

PARTS = Path(".local/parts")
CONNECTIONS = 64
ROUNDS = 5
ROUND_SECONDS = 3.0
BATCH = 1000
BATCH_CONNECTIONS = 2
SENT = 30_000
"""Payments that the producer is fed in a round."""
FRAME = b"\0\0\0\0\1"

FORMATS: tuple[tuple[str, str, Callable[[Payment], bytes], float, float], ...] = (
    (PAYMENT_JSON, "application/json", encode_json, 0.75, 2.0),
    (PAYMENT_AVRO, "avro/binary", AvroCodec(b"").encode, 0.65, 1.2),
    (PAYMENT_PROTOBUF, "application/x-protobuf", ProtobufCodec(b"").encode, 0.65, 1.2),
)
"""Topic, media type and encoder of a format; the goals of single payments and of batches."""

Measure = Callable[[], Awaitable[float]]


@dataclass
class Servers:
    """What runs for a benchmark: ports of the service and of the bare app."""

    kafka: KafkaSettings
    service: int
    bare: int


@contextmanager
def servers() -> Iterator[Servers]:
    """Kafka, registry, the service and the bare app, on free ports, in a folder that goes with them."""
    children: list[Child] = []
    with TemporaryDirectory(prefix="underten-bench-") as folder:
        home = Path(folder)
        kafka, registry, service, bare = free_port(), free_port(), free_port(), free_port()
        try:
            children.append(
                start_kafka(
                    home / "kafka", port=kafka, controller_port=free_port(), parts=PARTS, log=home / "kafka.log"
                )
            )
            children.append(start_registry(home / "registry", port=registry, parts=PARTS, log=home / "registry.log"))
            environment = {
                "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka}",
                "SCHEMA_REGISTRY_URL": f"http://127.0.0.1:{registry}{API}",
                "SERVICE_PORT": str(service),
                "QUEUE_VIEW": str(home / "view.sqlite"),
            }
            children.append(Child("service", [sys.executable, "-m", "service"], home / "service.log", environment))
            command = [sys.executable, "-m", "benchmarks.bare", str(bare)]
            children.append(Child("bare app", command, home / "bare.log"))
            _await_ready(service)
            yield Servers(KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{kafka}"), service, bare)
        finally:
            for child in reversed(children):
                child.stop()


@stamina.retry(on=httpx.HTTPError, timeout=60, wait_max=0.5, attempts=None)
def _await_ready(port: int) -> None:
    httpx.get(f"http://127.0.0.1:{port}/health/ready").raise_for_status()


def payments(count: int) -> list[Payment]:
    """As many payments, of many payors."""
    return [
        Payment(str(uuid.uuid4()), f"Bank {number % 50}", number % 99_991, 4000.01, "ACH", 100_000 + number)
        for number in range(count)
    ]


def single_payments() -> list[Result]:
    """Single payments a second, 64 connections, acks=all; against an aiohttp app that only decodes and answers."""
    found = []
    with servers() as running:
        for topic, kind, encode, goal, _ in FORMATS:
            posts = [request(f"/{topic}", kind, encode(each)) for each in payments(2000)]

            async def ours(posts: Sequence[bytes] = posts) -> float:
                return await rate(running.service, posts, CONNECTIONS, ROUND_SECONDS)

            async def bare(posts: Sequence[bytes] = posts) -> float:
                return await rate(running.bare, posts, CONNECTIONS, ROUND_SECONDS)

            values, references = uvloop.run(_taking_turns(ours, bare))
            name = f"single POSTs a second, {_format(topic)}, {CONNECTIONS} connections"
            found.append(at_least_times(name, values, "aiohttp that only decodes and answers", references, goal))
    return found


def batches() -> list[Result]:
    """Payments a second in NDJSON batches of 1,000; against aiokafka's producer fed with ready bytes by send()."""
    found = []
    with servers() as running:
        for topic, _, encode, _, goal in FORMATS:
            made = payments(20 * BATCH)
            lines = [encode_json(each) for each in made]
            posts = [
                request(f"/{topic}", "application/x-ndjson", b"\n".join(lines[at : at + BATCH]))
                for at in range(0, len(lines), BATCH)
            ]
            ready = [(str(each.payor_account_no).encode(), FRAME + encode(each)) for each in made]

            async def ours(posts: Sequence[bytes] = posts) -> float:
                return BATCH * await rate(running.service, posts, BATCH_CONNECTIONS, ROUND_SECONDS)

            async def producer(topic: str = topic, ready: Sequence[tuple[bytes, bytes]] = ready) -> float:
                return await _fed(running.kafka, topic, ready)

            values, references = uvloop.run(_taking_turns(ours, producer))
            name = f"payments a second in batches of {BATCH:,}, {_format(topic)}"
            found.append(at_least_times(name, values, "aiokafka's producer, send() of ready bytes", references, goal))
    return found


def _format(topic: str) -> str:
    return topic.removeprefix("payment_")


async def _taking_turns(one: Measure, other: Measure) -> tuple[list[float], list[float]]:
    """Both, round by round; the first round warms up and is left out."""
    await one(), await other()
    found = [(await one(), await other()) for _ in range(ROUNDS)]
    return [first for first, _ in found], [second for _, second in found]


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

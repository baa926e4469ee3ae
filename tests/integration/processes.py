"""Processes of ours, started as an operator would, and what tests read from the topics."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import ConsumerRecord

from compose.addresses import free_port
from compose.child import Child
from fraud.detection.changelog import decode_key
from fraud.detection.packed import unpack_array
from fraud.detection.topology import BY_PAYOR
from schemas import wire_format
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import ALL_TOPICS, CONFIGS, FRAUD_STATE, REVIEW_QUEUE
from tests.conftest import Servers

Json = dict[str, Any]

READY_SECONDS = 60.0


@contextmanager
def running(servers: Servers, log: Path, *module: str, **environment: str) -> Iterator[Child]:
    """`python -m MODULE...` until the end of the block."""
    env = {**servers.environment, "FRAUD_METRICS_PORT": str(free_port()), **environment}
    child = Child(" ".join(module), [sys.executable, "-m", *module], log, env)
    try:
        yield child
    finally:
        child.stop()


@asynccontextmanager
async def service_process(servers: Servers, tmp_path: Path, *flags: str) -> AsyncIterator[tuple[Child, str]]:
    """`python -m service` as an operator starts it, and its address."""
    port = free_port()
    environment = {"SERVICE_PORT": str(port), "QUEUE_VIEW": str(tmp_path / "view.sqlite")}
    with running(servers, tmp_path / "service.log", "service", *flags, **environment) as child:
        yield child, f"http://127.0.0.1:{port}"


async def is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    """Ask a process whether it is ready."""
    try:
        async with session.get(f"{url}/health/ready") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def all_are_ready(url: str) -> bool:
    """Ask every process behind a port whether it is ready: each connection is dealt to one of them by chance."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        return all([await is_ready(session, url) for _ in range(20)])


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 30.0) -> None:
    """Wait for a condition; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def until_ready(url: str) -> None:
    """Wait until every process behind a port is ready; raises TimeoutError."""
    await until(lambda: all_are_ready(url), READY_SECONDS)


@asynccontextmanager
async def admin_client(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """An administrator of topics."""
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def make_topics(
    kafka: KafkaSettings,
    *,
    partitions: int = 6,
    partitions_of: Mapping[str, int] | None = None,
    also: Iterable[str] = (),
    **config: str,
) -> None:
    """All topics, and `also`, empty: those that are there are deleted first. `config` changes the settings of each."""
    names = [*ALL_TOPICS, *also]
    counts = dict.fromkeys(names, partitions) | dict(partitions_of or {})
    async with admin_client(kafka) as admin:
        there = set(await admin.list_topics()) & {*names}
        if there:
            await admin.delete_topics(list(there))

        async def deleted() -> bool:
            return there.isdisjoint(await admin.list_topics())

        async def created() -> bool:
            topics = [
                NewTopic(name, counts[name], 1, topic_configs={**CONFIGS.get(name, {}), **config}) for name in names
            ]
            answer = await admin.create_topics(topics)
            return all(code in {0, 36} for _, code, *_ in answer.topic_errors) and set(
                await admin.list_topics()
            ) >= set(names)

        # Before the broker has heard of it, records would still go into the old topic, and away with it.
        await until(deleted)
        await until(created)


@asynccontextmanager
async def producer(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that is not ours."""
    async with AIOKafkaProducer(**kafka.client_options(), acks="all", enable_idempotence=True) as client:
        yield client


async def read_all(kafka: KafkaSettings, *topics: str) -> list[ConsumerRecord]:
    """All committed records of the topics, up to their ends at this moment."""
    async with AIOKafkaConsumer(
        **kafka.client_options(), isolation_level="read_committed", enable_auto_commit=False
    ) as consumer:
        await consumer._client.force_metadata_update()
        consumer.subscribe(topics)
        await consumer._client.force_metadata_update()
        partitions = [
            TopicPartition(topic, number) for topic in topics for number in consumer.partitions_for_topic(topic) or ()
        ]
        consumer.unsubscribe()
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        records: list[ConsumerRecord] = []
        async with asyncio.timeout(60):
            for partition, end in ends.items():
                while await consumer.position(partition) < end:
                    for batch in (await consumer.getmany(partition, timeout_ms=500)).values():
                        records += batch
        return records


async def cases(kafka: KafkaSettings) -> dict[str, Json]:
    """The last version of each case on `review_queue`."""
    last: dict[str, Json] = {}
    for record in await read_all(kafka, REVIEW_QUEUE):
        last[record.key.decode()] = json.loads(record.value[wire_format.HEADER_BYTES :])
    return last


async def ledger_ids(kafka: KafkaSettings) -> Counter[str]:
    """Copies of each payment in the ledger by payor, by its id."""
    segments: dict[tuple[int, bytes], bytes | None] = {}
    for record in await read_all(kafka, FRAUD_STATE):
        stage, segment = decode_key(record.key)
        if stage == BY_PAYOR and segment is not None:
            segments[record.partition, record.key] = record.value
    return Counter(payment.id for value in segments.values() if value for payment in unpack_array(value))

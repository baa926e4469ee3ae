"""The service in the test's own process, against a real Kafka and registry; and what tests say to it."""

import asyncio
import io
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas import wire_format
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import REVIEW_QUEUE
from schemas.registry import RegistrySettings
from service.access_settings import AccessSettings
from service.app import make_app
from service.http.connections import CONNECTIONS, Runner
from service.http.exchanges import EXCHANGES
from service.settings import ServiceSettings, Settings
from tests.integration.processes import READY_SECONDS, until

Json = dict[str, Any]
Client = TestClient[Any, Any]


class Server(TestServer):
    """A test's server whose connections are the service's own."""

    async def _make_runner(self, **options: Any) -> Runner:
        return Runner(self.app, self.app[CONNECTIONS], self.app[EXCHANGES], **options)


def settings(
    kafka: KafkaSettings,
    registry: RegistrySettings,
    view: Path,
    *,
    access: AccessSettings | None = None,
    **changes: Any,
) -> Settings:
    """Settings for one test's service."""
    service = ServiceSettings(queue_view=view, **changes)
    return Settings(service=service, access=access or AccessSettings(), kafka=kafka, registry=registry)


@asynccontextmanager
async def serving(
    kafka: KafkaSettings, registry: RegistrySettings, view: Path, **changes: Any
) -> AsyncIterator[Client]:
    """The service in this process, ready."""
    async with TestClient(Server(make_app(settings(kafka, registry, view, **changes)))) as client:
        await ready(client)
        yield client


async def ready(client: Client) -> None:
    """Wait until the service says that it is ready."""

    async def is_ready() -> bool:
        async with client.get("/health/ready") as response:
            return response.status == 200

    await until(is_ready, READY_SECONDS)


def payment(**changes: Any) -> Json:
    """A valid payment with an id of its own."""
    return {
        "id": str(uuid.uuid4()),
        "payee_bank": "First Harbor Bank",
        "payee_account_no": 9001,
        "payment_amount": 4000.01,
        "payment_method": "ACH",
        "payor_account_no": 1001,
        **changes,
    }


async def post(
    client: Client, path: str, body: Json | bytes, content_type: str = "application/json"
) -> tuple[int, Json]:
    """Post a body; the answer's status, and its content if that is JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client.post(path, data=data, headers={"Content-Type": content_type}) as response:
        content: Json = await response.json(content_type=None)
        assert response.status < 400 or response.content_type == "application/problem+json"
        return response.status, content


async def post_lines(client: Client, path: str, lines: list[str]) -> list[Json]:
    """Post a batch; the result of each line."""
    headers = {"Content-Type": "application/x-ndjson"}
    async with client.post(path, data=io.BytesIO("\n".join(lines).encode()), headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "application/x-ndjson"
        return [json.loads(line) for line in (await response.text()).splitlines()]


async def end_offsets(kafka: KafkaSettings, topic: str) -> dict[int, int]:
    """The next offset of each partition of a topic."""
    async with AIOKafkaConsumer(topic, **kafka.client_options()) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        return {at.partition: offset for at, offset in ends.items()}


async def records(kafka: KafkaSettings, topic: str, since: dict[int, int]) -> list[Any]:
    """Records of a topic after these offsets."""
    ends = await end_offsets(kafka, topic)
    expected = sum(ends[number] - since.get(number, 0) for number in ends)
    async with AIOKafkaConsumer(topic, **kafka.client_options(), enable_auto_commit=False) as consumer:
        for at in consumer.assignment():
            consumer.seek(at, since.get(at.partition, 0))
        values: list[Any] = []
        async with asyncio.timeout(20):
            while len(values) < expected:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    values += batch
        return values


async def set_largest(kafka: KafkaSettings, topic: str, size: int) -> None:
    """Set the bytes that a batch on a topic may have."""
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        change = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(size)})
        await admin.alter_configs([change])
    finally:
        await admin.close()


def payor_of_this_test() -> int:
    """An account number that no other test uses: they share their servers."""
    return uuid.uuid4().int % 2**31


async def put_cases(kafka: KafkaSettings, *cases: Json, abort: bool = False) -> None:
    """Write cases to the topic in one transaction, as fraud does; one with `gone` becomes a tombstone."""
    async with AIOKafkaProducer(**kafka.client_options(), transactional_id=f"test-{uuid.uuid4()}") as producer:
        await producer.begin_transaction()
        for case in cases:
            value = None if case.get("gone") else wire_format.header(7) + json.dumps(case).encode()
            await producer.send(REVIEW_QUEUE, value, key=case["case_id"].encode())
        await (producer.abort_transaction() if abort else producer.commit_transaction())


def case(payor: int, number: int = 0, **changes: Any) -> Json:
    """A case of this payor; those with the same number are the same case."""
    now = 1_795_492_000_000
    payment_of_a_case = {
        "id": str(uuid.uuid4()),
        "payment_amount": 1.5,
        "payment_method": "ACH",
        "timestamp": now,
        "topic": "payment_json",
    }
    return {
        "case_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{payor}/{number}")),
        "rule": "structuring",
        "group": {"payor_account_no": payor, "payee_bank": f"B{payor}", "payee_account_no": number},
        "window_start": now - now % 86_400_000,
        "window_end": now - now % 86_400_000 + 86_400_000,
        "payment_count": 2 + number,
        "total_amount": f"{10_000 + number}.01",
        "max_amount": 9999.99,
        "first_payment_at": now,
        "last_payment_at": now + number,
        "payments": [payment_of_a_case],
        **changes,
    }


async def queue(client: Client, **parameters: Any) -> Json:
    """A page of the queue."""
    async with client.get("/review-queue", params=parameters) as response:
        assert response.status == 200, await response.text()
        content: Json = await response.json()
        return content

"""Rejected records come back once their schema is there, each once, with their own time."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from schemas import wire_format
from schemas.codecs import case_header, payment_codecs
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_AVRO, PAYMENT_JSON, PAYMENT_LATE, PAYMENT_REJECTED, PAYMENTS
from schemas.payment import Payment, encode_json
from schemas.registry import Registry, RegistrySettings, WriterSchema
from tests.conftest import Servers
from tests.integration.processes import cases, make_topics, producer, read_all, running, until
from tests.unit.schemas.test_payment_reader import avro_payload, avro_schema

HOUR = 3_600_000


async def redrive(servers: Servers, app: str, *arguments: str) -> tuple[int, str]:
    """The command's exit status and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fraud", "redrive", *arguments),
        env={**os.environ, **servers.environment, "FRAUD_APP": app},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


def schema(name: str) -> dict[str, Any]:
    return avro_schema(name, payment_method={"type": "enum", "name": "Method", "symbols": ["ACH", "WIRE"]})


async def send(client: AIOKafkaProducer, value: bytes, at_ms: int) -> None:
    """From another producer, without a key, to a partition of its own."""
    await client.send_and_wait(PAYMENT_AVRO, value, partition=0, timestamp_ms=at_ms)


async def next_schema_id(registry: Registry) -> int:
    """The id that the schema gets which is registered next; ours are there before."""
    await payment_codecs(registry)
    await case_header(registry)
    return 1 + await registered(registry, f"T{uuid4().hex}")


async def registered(registry: Registry, name: str) -> int:
    """The id of the schema of that name, in a subject of its own."""
    return await registry.register(uuid4().hex, WriterSchema(json.dumps(schema(name)), "AVRO"))


async def test_what_has_become_a_payment_comes_back_once(
    servers: Servers, kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    await make_topics(kafka)
    client_of_registry, app, now = Registry(registry), uuid4().hex, int(time.time() * 1000)
    schema_id = await next_schema_id(client_of_registry)
    name = f"T{uuid4().hex}"
    good = [
        wire_format.header(schema_id) + avro_payload(schema(name), id=str(uuid4()), payment_amount=6000.0)
        for _ in range(3)
    ]
    bad = wire_format.header(schema_id) + avro_payload(schema(name), id="no id")
    with running(servers, tmp_path / "fraud.log", "fraud", "run", FRAUD_APP=app):
        async with producer(kafka) as client:
            for value, age in zip((*good, bad, b"garbage"), (0, 0, 200 * HOUR, 0, 0), strict=True):
                await send(client, value, now - age)
            await until(lambda: _has(kafka, PAYMENT_REJECTED, 5))
            assert (await redrive(servers, app, "--yes"))[1].startswith("0 payments sent")
            assert await registered(client_of_registry, name) == schema_id
            # Stream time: what comes 200 hours later is late for every rule.
            today = Payment(str(uuid4()), "First National", 200, 1.0, "ACH", 100)
            await client.send_and_wait(PAYMENT_JSON, encode_json(today), key=b"100", timestamp_ms=now)

            status, output = await redrive(servers, app)
            assert (status, output.splitlines()[0]) == (1, "3 payments would be sent; --yes sends them")
            assert await read_all(kafka, PAYMENTS) == []
            assert "0 payments" in (await redrive(servers, app, "--topic", "payment_json"))[1]
            assert "0 payments" in (await redrive(servers, app, "--since", "2999-01-01"))[1]
            assert "3 payments" in (await redrive(servers, app, "--reason", "unknown to the registry"))[1]

            status, output = await redrive(servers, app, "--yes")
            assert (status, output.splitlines()[0]) == (0, "3 payments sent")
            assert "2 records are still no payments" in output
            assert "id: must be a UUID" in output

        async def is_detected() -> bool:
            case = next((case for case in (await cases(kafka)).values() if case["rule"] == "structuring"), None)
            return case is not None and case["payment_count"] == 3 and case["total_amount"] == "12001.00"

        await until(is_detected)
        await until(lambda: _has(kafka, PAYMENT_LATE, 1))
        for _ in range(2):
            assert (await redrive(servers, app, "--yes"))[1].startswith("0 payments sent")
    payments = await read_all(kafka, PAYMENTS)
    assert sorted(now - record.timestamp for record in payments) == [0, 0, 200 * HOUR]
    assert {json.loads(record.value)["source"] for record in payments} == {PAYMENT_AVRO}
    assert {record.key for record in payments} == {b"100"}


async def test_two_at_once_send_each_payment_once(
    servers: Servers, kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    await make_topics(kafka)
    client_of_registry, app = Registry(registry), uuid4().hex
    schema_id, name = await next_schema_id(client_of_registry), f"T{uuid4().hex}"
    with running(servers, tmp_path / "fraud.log", "fraud", "run", FRAUD_APP=app):
        async with producer(kafka) as client:
            for _ in range(50):
                value = wire_format.header(schema_id) + avro_payload(schema(name), id=str(uuid4()))
                await send(client, value, int(time.time() * 1000))
        await until(lambda: _has(kafka, PAYMENT_REJECTED, 50))
    assert await registered(client_of_registry, name) == schema_id
    await asyncio.gather(*(redrive(servers, app, "--yes") for _ in range(3)))
    await redrive(servers, app, "--yes")
    payments = [json.loads(record.value)["id"] for record in await read_all(kafka, PAYMENTS)]
    assert len(payments) == len(set(payments)) == 50


async def _has(kafka: KafkaSettings, topic: str, count: int) -> bool:
    records = await read_all(kafka, topic)
    return len(records) >= count

"""A worker whose way to Kafka is gone at the worst moments: it can be stopped, and says what it waits for."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import NewPartitions

from fraud.detection import detect
from fraud.detection.topology import BY_PAYOR
from fraud.rules import load
from fraud.settings import FraudSettings
from fraud.streams import metrics
from fraud.streams import task as tasks
from fraud.streams import worker as workers
from fraud.streams.stage import Stage
from fraud.streams.task import Stalled, Task, open_task
from fraud.streams.worker import Worker
from schemas.kafka.topics import FRAUD_STATE, PAYMENT_JSON, PAYMENT_REJECTED
from schemas.registry import Registry
from tests.conftest import Servers
from tests.integration.processes import admin_client, make_topics, producer, read_all, until
from tests.link import Link

STOPPED_WITHIN_SECONDS = 30.0


@pytest.fixture
async def link(servers: Servers) -> AsyncIterator[Link]:
    await make_topics(servers.kafka_settings, partitions=2)
    async with Link(servers.link_port, servers.far_port).running() as link:
        yield link


def by_payor(servers: Servers) -> Stage:
    return detect.stages(load(), Registry(servers.registry_settings), 1000)[BY_PAYOR]


async def opened(servers: Servers, stage: Stage) -> Task:
    kafka = servers.link_settings
    async with AIOKafkaConsumer(**kafka.client_options(), group_id=uuid4().hex, enable_auto_commit=False) as consumer:
        return await open_task(stage, 0, app=uuid4().hex, group="g", kafka=kafka, consumer=consumer)


async def test_a_task_is_given_up_though_kafka_has_gone_within_its_transaction(servers: Servers, link: Link) -> None:
    task = await opened(servers, by_payor(servers))
    await task._producer.begin_transaction()
    link.cut()
    sending = asyncio.create_task(task._producer.send(PAYMENT_JSON, b"x", partition=0))
    await asyncio.sleep(0.5)  # for its sender to look for the coordinator
    async with asyncio.timeout(STOPPED_WITHIN_SECONDS):
        await task.close()
    sending.cancel()


@pytest.mark.parametrize("fault", ["cut", "silence"])
async def test_a_worker_can_be_stopped_while_kafka_is_away_and_its_tasks_open(
    servers: Servers, link: Link, fault: str
) -> None:
    class Unlucky(Worker):
        opening = False

        async def open_task(self, number: int, consumer: AIOKafkaConsumer) -> Task:
            getattr(link, fault)()
            self.opening = True
            return await super().open_task(number, consumer)

    stage = by_payor(servers)
    worker = Unlucky(stage, servers.link_settings, FraudSettings(fraud_app=uuid4().hex))
    running = asyncio.create_task(worker.run())

    async def opening() -> bool:
        return worker.opening

    await until(opening)
    worker.stopping.set()
    async with asyncio.timeout(STOPPED_WITHIN_SECONDS):
        await running


async def test_a_worker_that_commits_to_a_frozen_broker_ends_soon_after_it_is_told(
    servers: Servers, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_frozen = asyncio.Event()
    begin = AIOKafkaProducer.begin_transaction

    async def begin_and_freeze(producer: AIOKafkaProducer) -> None:
        await begin(producer)
        link.silence()
        is_frozen.set()

    worker = Worker(by_payor(servers), servers.link_settings, FraudSettings(fraud_app=uuid4().hex))
    running = asyncio.create_task(worker.run())

    async def has_tasks() -> bool:
        return await worker.missing() is None

    await until(has_tasks)
    monkeypatch.setattr(AIOKafkaProducer, "begin_transaction", begin_and_freeze)
    async with producer(servers.kafka_settings) as client:
        await client.send_and_wait(PAYMENT_JSON, b"no payment", partition=0)
    await is_frozen.wait()
    worker.stopping.set()
    async with asyncio.timeout(STOPPED_WITHIN_SECONDS):
        await running


async def test_a_restore_to_which_nothing_comes_ends_with_what_is_missing(
    servers: Servers, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = by_payor(servers)
    async with producer(servers.kafka_settings) as client:
        await client.send_and_wait(FRAUD_STATE, b"x", b"y", partition=0)

    async def silent(*_: object, **__: object) -> dict[Any, Any]:
        await asyncio.sleep(0.1)
        return {}

    monkeypatch.setattr(tasks, "STALLED_AFTER_SECONDS", 1.0)
    monkeypatch.setattr(AIOKafkaConsumer, "getmany", silent)
    with pytest.raises(Stalled, match=r"fraud_state.*at 0 of 1"):
        await opened(servers, stage)


async def test_stale_state_is_gone_before_the_task_has_read_anything_however_much_there_is(
    servers: Servers, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect, "MAX_OUTPUTS", 10)
    keys = {b'["gone",[%d],0]' % number for number in range(25)}
    async with producer(servers.kafka_settings) as client:
        for key in keys:
            await client.send_and_wait(FRAUD_STATE, b"x", key, partition=0)
    committed = metrics.COMMITS.labels(BY_PAYOR)._value.get
    before = committed()
    task = await opened(servers, by_payor(servers))
    assert not task.processor.pending
    await task.close()
    assert committed() - before == 3
    assert {
        record.key for record in await read_all(servers.kafka_settings, FRAUD_STATE) if record.value is None
    } == keys


async def test_partitions_that_are_added_while_a_worker_runs_are_read(
    servers: Servers, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "METADATA_SECONDS", workers.METADATA_SECONDS / 60)
    worker = Worker(by_payor(servers), servers.kafka_settings, FraudSettings(fraud_app=uuid4().hex))
    running = asyncio.create_task(worker.run())

    async def has_tasks() -> bool:
        return await worker.missing() is None

    await until(has_tasks)
    async with admin_client(servers.kafka_settings) as admin:
        await admin.create_partitions({PAYMENT_JSON: NewPartitions(3)})
    async with producer(servers.kafka_settings) as client:
        await client.send_and_wait(PAYMENT_JSON, b"no payment", partition=2)

    async def is_rejected() -> bool:
        return [record.value for record in await read_all(servers.kafka_settings, PAYMENT_REJECTED)] == [b"no payment"]

    await until(is_rejected)
    worker.stopping.set()
    await running

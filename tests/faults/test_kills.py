"""Workers that are killed, frozen, joined or left, and a broker that is killed, change nothing in the results."""

import asyncio
import os
import random
import signal
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from fraud.engines import python_lag
from schemas.codecs import PaymentCodec, payment_codecs
from schemas.kafka import KafkaSettings
from schemas.payment import Payment
from schemas.registry import Registry
from schemas.topics import PAYMENTS, RAW_TOPICS
from tests.conftest import Servers
from tests.integration.processes import Json, cases, make_topics, producer, read_all, running, until

KILLS = int(os.environ.get("FAULT_KILLS", "10"))
PAYMENTS_SENT = int(os.environ.get("FAULT_PAYMENTS", "6000"))
SEED = int(os.environ.get("FAULT_SEED", "7"))
DAY_MS = 86_400_000

Expected = dict[tuple[int, str, int, int], list[Payment]]


async def send(client: AIOKafkaProducer, codecs: dict[str, PaymentCodec], chance: random.Random) -> Expected:
    """Payments of few pairs, all acknowledged; which of them belong together by day."""
    expected: Expected = defaultdict(list)
    for first in range(0, PAYMENTS_SENT, 500):
        sent = []
        for number in range(first, min(first + 500, PAYMENTS_SENT)):
            payor, payee, bank = chance.randrange(300), chance.randrange(5), f"Bank {chance.randrange(3)}"
            amount = chance.choice([9999.99, 10000.00, 0.01, round(chance.uniform(1, 9000), 2)])
            payment = Payment(f"00000000-0000-4000-8000-{number:012x}", bank, payee, amount, "ACH", payor)
            topic = chance.choice(RAW_TOPICS)
            sent.append((payment, await client.send(topic, codecs[topic].encode(payment), key=b"%d" % payor)))
        for payment, future in sent:
            receipt = await future
            if payment.payment_amount < 10000:
                day = receipt.timestamp // DAY_MS * DAY_MS
                key = (payment.payor_account_no, payment.payee_bank, payment.payee_account_no, day)
                expected[key].append(payment)
        await asyncio.sleep(0.05)  # spread over the kills
    return expected


def due(expected: Expected) -> dict[tuple[int, str, int, int], Json]:
    """The cases of `structuring` that these payments call for."""
    found = {}
    for key, payments in expected.items():
        total = sum(Decimal(str(payment.payment_amount)) for payment in payments)
        if total > 10000:
            ids = sorted(payment.id for payment in payments)
            found[key] = {"payment_count": len(payments), "total_amount": f"{total:.2f}", "ids": ids}
    return found


async def found_cases(kafka: KafkaSettings) -> dict[tuple[Any, ...], Json]:
    return {
        (*case["group"].values(), case["window_start"]): {
            "payment_count": case["payment_count"],
            "total_amount": case["total_amount"],
            "ids": sorted(payment["id"] for payment in case["payments"]),
        }
        for case in (await cases(kafka)).values()
        if case["rule"] == "structuring"
    }


async def kill_again_and_again(servers: Servers, folder: Path, chance: random.Random, app: str) -> None:
    """Workers one after another, each killed after a while of its own."""
    for number in range(KILLS):
        with running(servers, folder / f"fraud-{number}.log", "fraud", "run", FRAUD_APP=app) as worker:
            await asyncio.sleep(chance.uniform(1.0, 4.0))
            worker.kill()


async def test_a_worker_killed_at_random_moments_leaves_every_case_right(servers: Servers, tmp_path: Path) -> None:
    kafka, chance, app = servers.kafka_settings, random.Random(SEED), "kills"
    await make_topics(kafka)
    codecs = await payment_codecs(Registry(servers.registry_settings))
    async with producer(kafka) as client:
        killing = asyncio.create_task(kill_again_and_again(servers, tmp_path, random.Random(SEED), app))
        expected = await send(client, codecs, chance)
        await killing
    await finished(servers, tmp_path, app)
    await check(kafka, expected)


async def finished(servers: Servers, folder: Path, app: str) -> None:
    """Let a worker that nobody disturbs come to the end."""

    async def everything_detected() -> bool:
        return await python_lag(servers.kafka_settings, app) == 0

    with running(servers, folder / "fraud-last.log", "fraud", "run", FRAUD_APP=app):
        await until(everything_detected, 90)


async def test_a_frozen_worker_that_wakes_writes_nothing_more(servers: Servers, tmp_path: Path) -> None:
    kafka, chance, app = servers.kafka_settings, random.Random(SEED), "zombie"
    await make_topics(kafka)
    codecs = await payment_codecs(Registry(servers.registry_settings))
    short = {"FRAUD_APP": app, "FRAUD_SESSION_TIMEOUT_MS": "6000"}
    with running(servers, tmp_path / "zombie.log", "fraud", "run", **short) as zombie:
        async with producer(kafka) as client:
            sending = asyncio.create_task(send(client, codecs, chance))
            await asyncio.sleep(2.0)
            zombie.process.send_signal(signal.SIGSTOP)
            with running(servers, tmp_path / "heir.log", "fraud", "run", **short):
                expected = await sending

                async def everything_detected() -> bool:
                    return await python_lag(kafka, app) == 0

                await until(everything_detected, 90)
                before = await found_cases(kafka)
                zombie.process.send_signal(signal.SIGCONT)
                await asyncio.sleep(8.0)
                await until(everything_detected, 60)
    assert before == due(expected)
    await check(kafka, expected)


async def test_workers_that_join_and_leave_share_the_work_and_leave_every_case_right(
    servers: Servers, tmp_path: Path
) -> None:
    kafka, app = servers.kafka_settings, "joining"
    await make_topics(kafka)
    codecs = await payment_codecs(Registry(servers.registry_settings))
    async with producer(kafka) as client:
        sending = asyncio.create_task(send(client, codecs, random.Random(SEED)))
        with running(servers, tmp_path / "first.log", "fraud", "run", FRAUD_APP=app) as first:
            await asyncio.sleep(2.0)
            with running(servers, tmp_path / "second.log", "fraud", "run", FRAUD_APP=app):
                await until(lambda: has_tasks(tmp_path / "second.log"))
                first.stop()
                assert first.process.returncode == 0
                expected = await sending
    await finished(servers, tmp_path, app)
    await check(kafka, expected)


async def has_tasks(log: Path) -> bool:
    return "tasks assigned" in await asyncio.to_thread(log.read_text)


async def test_a_broker_that_is_killed_and_comes_back_leaves_every_case_right(
    own_servers: Servers, tmp_path: Path
) -> None:
    kafka, app = own_servers.kafka_settings, "broker"
    await make_topics(kafka)
    codecs = await payment_codecs(Registry(own_servers.registry_settings))
    with running(own_servers, tmp_path / "fraud.log", "fraud", "run", FRAUD_APP=app):
        async with producer(kafka) as client:
            sending = asyncio.create_task(send(client, codecs, random.Random(SEED)))
            await until(lambda: has_tasks(tmp_path / "fraud.log"))
            own_servers.kafka.kill()
            await asyncio.to_thread(own_servers.start_kafka)
            expected = await sending

        async def everything_detected() -> bool:
            return await python_lag(kafka, app) == 0

        await until(everything_detected, 90)
    await check(kafka, expected)


async def check(kafka: KafkaSettings, expected: Expected) -> None:
    """None missing, none extra, none different; and each payment normalised once."""
    assert await found_cases(kafka) == due(expected), f"seed {SEED}"
    normalised = [record.value for record in await read_all(kafka, PAYMENTS)]
    assert len(normalised) == PAYMENTS_SENT == len(set(normalised))

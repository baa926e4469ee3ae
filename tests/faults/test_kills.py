"""Workers that are killed, frozen, joined or left, and a broker that is killed, change nothing in the results."""

import asyncio
import json
import os
import random
import signal
from collections import Counter, defaultdict
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from fraud.bank_names import fold_bank
from fraud.comparison.lag import python_lag
from fraud.detection.topology import BY_PAYEE, BY_PAYOR
from schemas.codecs import PaymentCodec, payment_codecs
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import RAW_TOPICS
from schemas.payment import Payment
from schemas.registry import Registry
from tests.conftest import Servers
from tests.integration.processes import Json, cases, ledger_ids, make_topics, producer, running, until

pytestmark = pytest.mark.timeout(600)

KILLS = int(os.environ.get("FAULT_KILLS", "3"))
PAYMENTS_SENT = int(os.environ.get("FAULT_PAYMENTS", "6000"))
SEED = int(os.environ.get("FAULT_SEED", "7"))
DAY_MS = 86_400_000
BATCH = 100
KILL_SECONDS = 8.0
"""From one kill to the next, about: a killed worker's tasks are free once its session is over."""
SHORT_SESSION = {"FRAUD_SESSION_TIMEOUT_MS": "6000"}
"""The shortest that Kafka allows."""

Expected = dict[tuple[int, str, int, int], list[Payment]]


async def send(
    client: AIOKafkaProducer, codecs: dict[str, PaymentCodec], over: asyncio.Event, seconds: float = 2.0
) -> Expected:
    """Payments of few pairs, all acknowledged; which of them belong together by day.

    All in so many seconds or more, and further ones until whatever is to happen meanwhile is over.
    """
    chance = random.Random(SEED)
    expected: Expected = defaultdict(list)
    for first in count(0, BATCH):
        if first >= PAYMENTS_SENT and over.is_set():
            break
        sent = []
        for number in range(first, first + BATCH):
            payor, payee, bank = chance.randrange(300), chance.randrange(5), f"Bank {chance.randrange(3)}"
            amount = chance.choice([9999.99, 10000.00, 0.01, round(chance.uniform(1, 9000), 2)])
            payment = Payment(f"00000000-0000-4000-8000-{number:012x}", bank, payee, amount, "ACH", payor)
            topic = chance.choice(RAW_TOPICS)
            sent.append((payment, await client.send(topic, codecs[topic].encode(payment), key=b"%d" % payor)))
        for payment, future in sent:
            receipt = await future
            day = receipt.timestamp // DAY_MS * DAY_MS
            key = (payment.payor_account_no, fold_bank(payment.payee_bank), payment.payee_account_no, day)
            expected[key].append(payment)
        await asyncio.sleep(seconds * BATCH / PAYMENTS_SENT)
    return expected


def due(expected: Expected) -> dict[tuple[int, str, int, int], Json]:
    """The cases of `structuring` that these payments call for."""
    cases_due = {}
    for key, sent in expected.items():
        payments = [payment for payment in sent if payment.payment_amount <= 10000]
        total = sum(Decimal(str(payment.payment_amount)) for payment in payments)
        if total > 10000:
            ids = sorted(payment.id for payment in payments)
            cases_due[key] = {"payment_count": len(payments), "total_amount": f"{total:.2f}", "ids": ids}
    return cases_due


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


async def kill_again_and_again(servers: Servers, folder: Path, app: str, over: asyncio.Event) -> int:
    """Workers one after another, each killed some moment after it got tasks; how many those were."""
    chance, killed = random.Random(SEED), 0
    try:
        for number in range(KILLS):
            log = folder / f"fraud-{number}.log"
            with running(servers, log, "fraud", "run", FRAUD_APP=app, **SHORT_SESSION) as worker:
                await until(partial(has_tasks, log))
                await asyncio.sleep(chance.uniform(0.0, 1.5))
                worker.check()
                worker.kill()
                killed += 1
    finally:
        over.set()
    return killed


async def test_a_worker_killed_at_random_moments_leaves_every_case_right(servers: Servers, tmp_path: Path) -> None:
    kafka, app, over = servers.kafka_settings, "kills", asyncio.Event()
    await make_topics(kafka)
    codecs = await payment_codecs(Registry(servers.registry_settings))
    async with producer(kafka) as client:
        killing = asyncio.create_task(kill_again_and_again(servers, tmp_path, app, over))
        expected = await send(client, codecs, over, KILLS * KILL_SECONDS)
        assert await killing == KILLS
    await finished(servers, tmp_path, app)
    await check(kafka, expected)


async def finished(servers: Servers, folder: Path, app: str) -> None:
    """Let a worker that nobody disturbs come to the end."""
    with running(servers, folder / "fraud-last.log", "fraud", "run", FRAUD_APP=app, **SHORT_SESSION):
        await until_detected(servers.kafka_settings, app)


async def until_detected(kafka: KafkaSettings, app: str) -> None:
    """Wait until every payment has been read and judged."""

    async def nothing_is_left() -> bool:
        return await python_lag(kafka, app) == 0

    await until(nothing_is_left, 90)


async def test_a_frozen_worker_that_wakes_writes_nothing_more(servers: Servers, tmp_path: Path) -> None:
    kafka, app, over = servers.kafka_settings, "zombie", asyncio.Event()
    await make_topics(kafka)
    codecs = await payment_codecs(Registry(servers.registry_settings))
    short = {"FRAUD_APP": app, **SHORT_SESSION}
    with running(servers, tmp_path / "zombie.log", "fraud", "run", **short) as zombie:
        async with producer(kafka) as client:
            sending = asyncio.create_task(send(client, codecs, over))
            await until(lambda: has_tasks(tmp_path / "zombie.log"))
            zombie.process.send_signal(signal.SIGSTOP)
            with running(servers, tmp_path / "heir.log", "fraud", "run", **short):
                await until(lambda: has_tasks(tmp_path / "heir.log"))
                over.set()
                expected = await sending
                await until_detected(kafka, app)
                before, frozen_log = await found_cases(kafka), (tmp_path / "zombie.log").read_text()

                async def has_begun_anew() -> bool:
                    text = await asyncio.to_thread((tmp_path / "zombie.log").read_text)
                    return any(event in text[len(frozen_log) :] for event in ("session ended", "tasks assigned"))

                zombie.process.send_signal(signal.SIGCONT)
                await until(has_begun_anew, 60)
                await until_detected(kafka, app)
    assert before == due(expected)
    await check(kafka, expected)


async def test_workers_that_join_and_leave_share_the_work_and_leave_every_case_right(
    servers: Servers, tmp_path: Path
) -> None:
    kafka, app, over = servers.kafka_settings, "joining", asyncio.Event()
    await make_topics(kafka)
    codecs = await payment_codecs(Registry(servers.registry_settings))
    async with producer(kafka) as client:
        sending = asyncio.create_task(send(client, codecs, over))
        with running(servers, tmp_path / "first.log", "fraud", "run", FRAUD_APP=app) as first:
            await until(lambda: has_tasks(tmp_path / "first.log"))
            with running(servers, tmp_path / "second.log", "fraud", "run", FRAUD_APP=app):
                await until(lambda: has_tasks(tmp_path / "second.log"))
                first.stop()
                assert first.process.returncode == 0
                over.set()
                expected = await sending
    await finished(servers, tmp_path, app)
    await check(kafka, expected)


async def has_tasks(log: Path) -> bool:
    """Tell whether both stages of a worker have been given some."""
    assignments = [line for line in (await asyncio.to_thread(log.read_text)).splitlines() if '"tasks assigned"' in line]
    return {entry["stage"] for entry in map(json.loads, assignments) if entry["tasks"]} == {BY_PAYOR, BY_PAYEE}


async def test_a_broker_that_is_killed_and_comes_back_leaves_every_case_right(
    own_servers: Servers, tmp_path: Path
) -> None:
    kafka, app, over = own_servers.kafka_settings, "broker", asyncio.Event()
    await make_topics(kafka)
    codecs = await payment_codecs(Registry(own_servers.registry_settings))
    with running(own_servers, tmp_path / "fraud.log", "fraud", "run", FRAUD_APP=app):
        async with producer(kafka) as client:
            sending = asyncio.create_task(send(client, codecs, over))
            await until(lambda: has_tasks(tmp_path / "fraud.log"))
            own_servers.kafka.kill()
            await asyncio.to_thread(own_servers.start_kafka)
            over.set()
            expected = await sending
        await until_detected(kafka, app)
    await check(kafka, expected)


async def check(kafka: KafkaSettings, expected: Expected) -> None:
    """None missing, none extra, none different; and each payment in the ledger once."""
    assert await found_cases(kafka) == due(expected), f"seed {SEED}"
    ids = await ledger_ids(kafka)
    assert ids == Counter(payment.id for payments in expected.values() for payment in payments)

"""The second engine on Kafka Streams, live: both engines read the same topics, and are compared window by window."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from compose import engine as compose_engine
from compose.child import Child
from compose.engine import start_engine
from fraud.commands.compare import CompareSettings, EngineNotRunning, compare_when_caught_up
from fraud.commands.rules import meaning
from fraud.comparison.compare import Comparison
from fraud.comparison.engine_status import NOT_RUNNING, RUNNING, EngineStatus
from fraud.comparison.streams_engine import StreamsEngine
from fraud.rules import Rule, load
from schemas.codecs import payment_codecs
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_LATE, RAW_TOPICS
from schemas.payment import Payment, encode_json
from schemas.registry import Registry
from tests.conftest import PARTS, Servers
from tests.integration.processes import (
    Json,
    make_topics,
    producer,
    read_all,
    running,
    service_process,
    until,
    until_ready,
)

APP = "live"
HOUR_MS = 3_600_000
BANKS = ("First National", "Second State", 'Third "Q" Bänk')
CAUGHT_UP_SECONDS = 60

pytestmark = pytest.mark.timeout(300)


@dataclass
class Installation:
    """Both engines and the service on one Kafka; the engine on Kafka Streams may be killed and started again."""

    servers: Servers
    home: Path
    url: str = ""
    engine: Child | None = None

    def start_engine(self) -> None:
        self.engine = start_engine(
            self.home,
            kafka=self.servers.kafka_settings.kafka_bootstrap_servers,
            registry=self.servers.registry_settings.schema_registry_url,
            app=APP,
            rules=load(),
            log=self.home / "logs" / "streams.log",
        )

    def kill_engine(self) -> None:
        assert self.engine
        self.engine.kill()

    async def compared(self) -> tuple[Comparison, EngineStatus]:
        """The comparison of `fraud compare`, once the engine runs and both have read everything.

        Groups of an engine that was killed run until its members are missed, and then not until new ones have joined.
        """
        engine = StreamsEngine(self.servers.kafka_settings, APP, load())

        async def engine_runs() -> bool:
            return (await engine.status()).state == RUNNING

        settings = CompareSettings(kafka=self.servers.kafka_settings, fraud_app=APP)
        while True:
            await until(engine_runs, CAUGHT_UP_SECONDS)
            with suppress(EngineNotRunning):
                comparison, status, caught_up = await compare_when_caught_up(settings, CAUGHT_UP_SECONDS)
                assert caught_up, status
                return comparison, status

    async def answer(self, path: str) -> Json:
        """GET of the service."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            assert response.status == 200
            content: Json = await response.json()
            return content


@pytest.fixture(scope="module")
def installation(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("engine")
    (home / "parts").symlink_to(PARTS)
    (home / "classes").symlink_to(PARTS.with_name("classes"))
    PARTS.with_name("classes").mkdir(exist_ok=True)
    asyncio.run(make_topics(servers.kafka_settings))
    installation = Installation(servers, home)
    with ExitStack() as processes:
        processes.enter_context(running(servers, home / "fraud.log", "fraud", "run", FRAUD_APP=APP))
        installation.start_engine()
        yield installation
        if installation.engine:
            installation.engine.stop()


@pytest.fixture
async def service(installation: Installation, tmp_path: Path) -> AsyncIterator[Installation]:
    """The installation with a service that compares."""
    flags = ("--engine", "streams", "--fraud-app", APP)
    async with service_process(installation.servers, tmp_path, *flags) as (_, url):
        await until_ready(url)
        installation.url = url
        yield installation


def payments(count: int, seed: int) -> Iterator[tuple[Payment, int]]:
    """Payments that make cases of all rules, out of order, each with its time; some come days too late."""
    chance = random.Random(seed)
    now = int(time.time() * 1000)
    for _ in range(count):
        amount = chance.uniform(9000, 9999.99) if chance.random() < 0.3 else chance.uniform(10, 12_000)
        payee = chance.choice(BANKS), chance.randrange(10)
        age = 80 * HOUR_MS if chance.random() < 0.02 else chance.randrange(HOUR_MS // 2)
        name = str(UUID(int=chance.getrandbits(128), version=4))
        yield Payment(name, *payee, round(amount, 2), "ACH", chance.randrange(60)), now - age


async def post(servers: Servers, history: Iterator[tuple[Payment, int]]) -> None:
    """Payments on the three topics in turn."""
    codecs = await payment_codecs(Registry(servers.registry_settings))
    async with producer(servers.kafka_settings) as client:
        sent = []
        for place, (payment, at_ms) in enumerate(history):
            topic = RAW_TOPICS[place % 3]
            key = str(payment.payor_account_no).encode()
            sent.append(await client.send(topic, codecs[topic].encode(payment), key=key, timestamp_ms=at_ms))
        await asyncio.gather(*sent)


def assert_all_equal(comparison: Comparison) -> None:
    assert comparison.differences == []
    assert comparison.agree
    assert set(comparison.rules) == {rule.name for rule in load()}


async def test_thousands_of_payments_in_three_formats_give_the_same_windows_in_both_engines(
    service: Installation,
) -> None:
    await post(service.servers, payments(4000, seed=1))
    comparison, status = await service.compared()
    assert_all_equal(comparison)
    assert (status.name, status.state, status.lag) == ("Kafka Streams", RUNNING, 0)
    assert status.version
    assert await read_all(service.servers.kafka_settings, PAYMENT_LATE), "none came too late, so nothing is shown"

    async def judged() -> bool:
        answer = await service.answer("/comparison")
        return bool(answer["caught_up"] and not answer["pending"])

    await until(judged, CAUGHT_UP_SECONDS)
    answer = await service.answer("/comparison")
    assert answer["engine"] == status.as_json()
    assert {rule: kinds["equal"] for rule, kinds in answer["rules"].items()} == {
        rule: kinds["equal"] for rule, kinds in comparison.rules.items()
    }
    assert (await service.answer("/status"))["comparison"]["engine"]["name"] == "Kafka Streams"


async def test_killed_amid_load_and_started_again_the_engine_has_lost_and_doubled_nothing(
    installation: Installation,
) -> None:
    for seed in (2, 3):
        await post(installation.servers, payments(700, seed))
        installation.kill_engine()
        await post(installation.servers, payments(300, seed + 10))
        installation.start_engine()
    assert_all_equal((await installation.compared())[0])


async def test_with_the_engine_left_dead_the_service_says_so_and_cases_stay_pending(service: Installation) -> None:
    service.kill_engine()

    async def is_reported() -> bool:
        return (await service.answer("/comparison"))["engine"]["state"] == NOT_RUNNING

    await until(is_reported, CAUGHT_UP_SECONDS)
    assert "Kafka Streams does not run" in (await service.answer("/comparison"))["reason"]
    fresh = [Payment(str(UUID(int=number)), "Fresh", 1, 6000.0, "ACH", 900_001) for number in (1, 2)]
    now = int(time.time() * 1000)
    await post(service.servers, iter([(payment, now) for payment in fresh]))

    async def is_listed() -> bool:
        return bool((await service.answer("/review-queue?payor=900001&rule=structuring"))["items"])

    await until(is_listed)
    [case] = (await service.answer("/review-queue?payor=900001&rule=structuring"))["items"]
    assert case["agreement"] == "pending"
    service.start_engine()

    async def agreed() -> bool:
        [case] = (await service.answer("/review-queue?payor=900001&rule=structuring"))["items"]
        return bool(case["agreement"] == "agree")

    await until(agreed, CAUGHT_UP_SECONDS)


async def test_a_payment_that_one_engine_alone_counts_is_found_and_named(installation: Installation) -> None:
    now = int(time.time() * 1000)
    both = [Payment(str(UUID(int=number)), "Planted", 2, 6000.0, "ACH", 900_002) for number in (11, 12)]
    # An id that is no UUID: Python rejects it, as no valid payment, and SQL checks nothing of the kind.
    alone = Payment("thirteen", "Planted", 2, 100.12, "ACH", 900_002)
    await post(installation.servers, iter([(payment, now) for payment in both]))
    async with producer(installation.servers.kafka_settings) as client:
        await client.send_and_wait(RAW_TOPICS[0], encode_json(alone), key=b"900002", timestamp_ms=now)
    comparison, _ = await installation.compared()
    planted = [difference for difference in comparison.differences if difference.rule == "structuring"]
    assert [(difference.kind, difference.group["payor_account_no"]) for difference in planted] == [
        ("different", 900_002)
    ]
    assert planted[0].fields["payment_count"] == {"ksqldb": 3, "python": 2}
    assert planted[0].fields["payment_ids"] == {"ksqldb": [alone.id], "python": []}
    assert {difference.group.get("payor_account_no") for difference in comparison.differences} == {900_002}


async def test_a_rule_with_another_number_in_one_engine_is_found_and_named(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_another_number(rule: Rule) -> dict[str, Any]:
        return meaning(rule) | ({"min_payments": 4} if rule.name == "just_below" else {})

    monkeypatch.setattr(compose_engine, "meaning", with_another_number)
    installation.kill_engine()
    installation.start_engine()
    now = int(time.time() * 1000)
    fresh = [Payment(str(UUID(int=20 + place)), "Numbered", place, 9500.0, "ACH", 900_003) for place in range(3)]
    await post(installation.servers, iter([(payment, now) for payment in fresh]))
    comparison, _ = await installation.compared()
    planted = [difference for difference in comparison.differences if difference.rule == "just_below"]
    assert {(difference.kind, difference.group["payor_account_no"]) for difference in planted} == {
        ("only_python", 900_003)
    }


async def test_an_engine_that_nobody_has_started_is_not_running(kafka: KafkaSettings) -> None:
    status = await StreamsEngine(kafka, "nobody", load()).status()
    assert (status.state, status.lag, status.version) == (NOT_RUNNING, None, None)

"""Three formats, the whole way, against what ksqlDB recorded of them; and every kind of difference, planted."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from compose.addresses import free_port
from fraud.commands.compare import compare_engines
from fraud.comparison.compare import Comparison
from fraud.comparison.lag import python_lag
from fraud.comparison.rows import SINK
from fraud.ksqldb.client import KsqldbSettings
from fraud.rules import DAY_MS, Rule, load
from schemas.codecs import payment_codecs
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_LATE, REVIEW_QUEUE
from schemas.registry import Registry
from service.app import make_app
from service.monitoring import gauges
from service.settings import ServiceSettings, Settings
from tests.conftest import Servers
from tests.golden import HERE, lines, payments
from tests.integration.processes import Json, make_topics, producer, running, until
from tests.integration.serving import Client, queue, ready
from tests.ksqldb_answers import Answers, answering

RULES = HERE / "three-formats.rules.toml"
CASE = {
    "case_id": "00000000-0000-5000-8000-000000000000",
    "group": {"payor_account_no": 1},
    "window_end": 0,
    "payment_count": 0,
    "total_amount": "0.00",
    "max_amount": 0,
    "first_payment_at": 0,
    "last_payment_at": 0,
    "payments": [],
}
LOST_BY_KSQLDB = 37
"""Played back 36 hours in seconds, with its cache on, ksqlDB lost 37 of velocity's 41 ten-minute windows."""


@pytest.fixture(scope="module")
def golden_run(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> KafkaSettings:
    """The recorded payments through the real pipeline, and ksqlDB's records on its sink topics."""
    asyncio.run(_play(servers, tmp_path_factory.mktemp("golden") / "fraud.log"))
    return servers.kafka_settings


async def _play(servers: Servers, log: Path) -> None:
    kafka = servers.kafka_settings
    sinks = sorted({record["topic"] for record in recorded()})
    await make_topics(kafka, also=sinks, **{"retention.ms": "-1", "cleanup.policy": "delete"})
    codecs = await payment_codecs(Registry(servers.registry_settings))
    async with producer(kafka) as client:
        for line in payments("three-formats"):
            value, key = codecs[line.topic].encode(line), str(line.payor_account_no).encode()
            await client.send(line.topic, value, key=key, partition=line.partition, timestamp_ms=line.timestamp)
        await client.flush()

    async def everything_detected() -> bool:
        return await python_lag(kafka, "golden") == 0

    with running(servers, log, "fraud", "run", FRAUD_RULES=str(RULES), FRAUD_APP="golden", FRAUD_DRIFT_SECONDS="540"):
        await until(everything_detected, 90)
    await play(kafka, recorded())


def recorded() -> list[Json]:
    return [json.loads(line) for line in lines("three-formats.ksqldb")]


def recorded_windows() -> set[tuple[str, str]]:
    return {(record["topic"], record["key_hex"]) for record in recorded()}


async def play(kafka: KafkaSettings, records: list[Json]) -> None:
    """Put records on the sink topics as ksqlDB had them there."""
    async with producer(kafka) as client:
        for record in records:
            await client.send(
                record["topic"],
                record["value"] and record["value"].encode(),
                key=bytes.fromhex(record["key_hex"]),
                partition=record["partition"],
                timestamp_ms=record["timestamp"],
            )
        await client.flush()


async def compared(kafka: KafkaSettings) -> Comparison:
    return await compare_engines(kafka, load(RULES))


async def test_every_window_that_ksqldb_recorded_is_equal(golden_run: KafkaSettings) -> None:
    comparison = await compared(golden_run)
    counts = {rule: dict(kinds) for rule, kinds in comparison.rules.items()}
    velocity = counts.pop("velocity")
    assert velocity == {"equal": 4, "only_python": LOST_BY_KSQLDB}
    assert {difference.kind for difference in comparison.differences} == {"only_python"}, comparison.differences[:5]
    assert {kind for kinds in counts.values() for kind in kinds} == {"equal"}, counts
    assert sum(kinds["equal"] for kinds in counts.values()) + 4 == len(recorded_windows())
    assert comparison.settled > 0
    assert comparison.provisional > 0


def changed(**values: Any) -> Callable[[Json], Json]:
    """Another value of a recorded row."""

    def change(record: Json) -> Json:
        return {**record, "value": json.dumps({**json.loads(record["value"]), **values})}

    return change


@pytest.mark.parametrize(
    ("change", "kind", "fields"),
    [
        (changed(PAYMENT_COUNT=999), "different", {"payment_count"}),
        (changed(TOTAL_AMOUNT=10000.011), "different", {"total_amount"}),
        (changed(MAX_AMOUNT=1.0), "different", {"max_amount"}),
        (changed(PAYMENT_IDS=["x"]), "different", {"payment_ids"}),
        (lambda record: {**record, "value": None}, "only_python", None),
        (
            lambda record: {**record, "key_hex": record["key_hex"][:-16] + "0000000000000000"},
            "only_ksqldb",
            None,
        ),
    ],
)
async def test_a_planted_difference_is_found_and_named(
    change: Callable[[Json], Json], kind: str, fields: set[str] | None, golden_run: KafkaSettings
) -> None:
    last = [record for record in recorded() if record["topic"] == "ksqldb_structuring"][-1]
    planted = change(last)
    try:
        await play(golden_run, [planted])
        comparison = await compared(golden_run)
        assert not comparison.agree
        [only] = [difference for difference in comparison.differences if difference.rule == "structuring"]
        assert only.kind == kind
        assert fields is None or set(only.fields) == fields
    finally:
        await play(golden_run, [{**planted, "value": None}, last])


async def test_a_window_with_late_payments_is_called_late(golden_run: KafkaSettings) -> None:
    last = [record for record in recorded() if record["topic"] == "ksqldb_structuring"][-1]
    value = json.loads(last["value"])
    columns = ("payor_account_no", "payee_bank", "payee_account_no")
    late = {
        "rule": "structuring",
        "group": {name: value[name.upper()] for name in columns},
        "window_start": value["WINDOW_START"],
    }
    try:
        await play(golden_run, [changed(PAYMENT_COUNT=value["PAYMENT_COUNT"] + 1)(last)])
        async with producer(golden_run) as client:
            await client.send_and_wait(PAYMENT_LATE, json.dumps(late).encode(), key=b"k")
        [of_window] = [
            difference for difference in (await compared(golden_run)).differences if difference.rule == "structuring"
        ]
        assert (of_window.kind, of_window.late) == ("late", 1)
    finally:
        await play(golden_run, [last])


async def test_rows_that_may_be_lost_and_records_that_are_no_rows_are_counted_and_not_compared(
    golden_run: KafkaSettings,
) -> None:
    rule = Rule(name="kept_briefly", group_by=("payor_account_no",), window="1h", min_payments=1)
    now = int(time.time() * 1000)
    ages = {"old": 8 * DAY_MS, "new": DAY_MS}
    sink = NewTopic(SINK + rule.name, 1, 1, topic_configs={"cleanup.policy": "compact,delete"})
    admin = AIOKafkaAdminClient(**golden_run.client_options())
    await admin.start()
    try:
        await admin.create_topics([sink])
        async with producer(golden_run) as client:
            for key, age in ages.items():
                value = json.dumps(CASE | {"rule": rule.name, "window_start": now - age})
                await client.send_and_wait(REVIEW_QUEUE, value.encode(), key=key.encode())
            await client.send_and_wait(sink.name, b"{}", key=b"no row")
        comparison = await compare_engines(golden_run, [rule])
        assert (comparison.expired, comparison.not_understood) == (1, 1)
        assert comparison.rules == {rule.name: {"only_python": 1}}
    finally:
        async with producer(golden_run) as client:
            for key in ages:
                await client.send_and_wait(REVIEW_QUEUE, None, key=key.encode())
        await admin.delete_topics([sink.name])
        await admin.close()


@asynccontextmanager
async def serving_both(servers: Servers, view: Path, **changes: Any) -> AsyncIterator[Client]:
    """The service, with a ksqlDB of which all queries have read everything."""
    async with answering(Answers().deploy()) as url:
        service = ServiceSettings(queue_view=view, fraud_app="golden", fraud_rules=RULES, **changes)
        both_engines = Settings(
            service=service,
            kafka=servers.kafka_settings,
            registry=servers.registry_settings,
            ksqldb=KsqldbSettings(ksqldb_url=url),
        )
        async with TestClient(TestServer(make_app(both_engines))) as client:
            await ready(client)
            yield client


async def comparison_of(client: Client) -> Json:
    async with client.get("/comparison") as response:
        assert response.status == 200, await response.text()
        content: Json = await response.json()
        return content


def where(difference: Json) -> tuple[str, int, str]:
    return difference["rule"], difference["window_start"], json.dumps(difference["group"], sort_keys=True)


async def judged(client: Client) -> Json:
    """The service's comparison, once it can judge every window."""

    async def all_judged() -> bool:
        document = await comparison_of(client)
        return bool(document["caught_up"] and document["rules"] and not document["pending"])

    await until(all_judged, 60)
    return await comparison_of(client)


async def test_the_service_counts_as_the_command_does(
    golden_run: KafkaSettings, servers: Servers, tmp_path: Path
) -> None:
    async with serving_both(servers, tmp_path / "queue.sqlite") as client:
        document = await judged(client)
        expected = json.loads(json.dumps((await compared(golden_run)).as_json(caught_up=True)))
        assert document["rules"] == expected["rules"]
        differences = sorted(({**difference, "case_id": None} for difference in expected["differences"]), key=where)
        assert (
            sorted(({**difference, "case_id": None} for difference in document["differences"]), key=where)
            == differences
        )
        assert document["settled"] + document["provisional"] == expected["settled"] + expected["provisional"]
        await gauges._from_view(client.app)
        async with client.get("/metrics") as response:
            text = await response.text()
        for rule, kinds in document["rules"].items():
            for kind, number in kinds.items():
                assert f'\nunderten_comparison_windows{{kind="{kind}",rule="{rule}"}} {number}.0\n' in text


async def test_a_case_that_only_ksqldb_found_is_in_the_queue_and_one_that_differs_says_so(
    golden_run: KafkaSettings, servers: Servers, tmp_path: Path
) -> None:
    first, *_, last = [record for record in recorded() if record["topic"] == "ksqldb_structuring"]
    alone = {**first, "key_hex": first["key_hex"][:-16] + "0000000000000000"}
    try:
        await play(golden_run, [alone, changed(PAYMENT_COUNT=999)(last)])
        async with serving_both(servers, tmp_path / "queue.sqlite") as client:
            await judged(client)
            [line] = (await queue(client, rule="structuring", agreement="only_ksqldb"))["items"]
            assert (line["window_start"], line["version"]) == (0, 0)
            assert {payment["id"] for payment in line["payments"]} == set(json.loads(first["value"])["PAYMENT_IDS"])
            [differs] = (await queue(client, rule="structuring", agreement="differ"))["items"]
            assert differs["window_start"] == json.loads(last["value"])["WINDOW_START"]
            assert (await queue(client, agreement="pending"))["items"] == []
    finally:
        await play(golden_run, [{**alone, "value": None}, last])


async def test_without_a_ksqldb_nothing_is_compared(servers: Servers, tmp_path: Path) -> None:
    one_engine = Settings(
        service=ServiceSettings(queue_view=tmp_path / "queue.sqlite"),
        kafka=servers.kafka_settings,
        registry=servers.registry_settings,
    )
    async with TestClient(TestServer(make_app(one_engine))) as client:
        document = await comparison_of(client)
        assert (document["caught_up"], document["rules"]) == (False, {})
        assert "KSQLDB_URL" in document["reason"]


@pytest.mark.parametrize(("plant", "status"), [(False, 0), (True, 1)])
async def test_the_commands_exit_status_says_whether_all_agree(
    plant: bool,  # noqa: FBT001
    status: int,
    golden_run: KafkaSettings,
    servers: Servers,
    tmp_path: Path,
) -> None:
    rules = tmp_path / "rules.toml"
    only_structuring = RULES.read_text(encoding="utf-8").split("[[rule]]")
    rules.write_text("[[rule]]" + next(text for text in only_structuring if '"structuring"' in text), encoding="utf-8")
    last = [record for record in recorded() if record["topic"] == "ksqldb_structuring"][-1]
    try:
        if plant:
            await play(golden_run, [changed(PAYMENT_COUNT=999)(last)])
        async with answering(Answers().deploy()) as url:
            assert await exit_status(servers, FRAUD_RULES=str(rules), KSQLDB_URL=url) == status
    finally:
        await play(golden_run, [last])


async def test_the_commands_exit_status_is_2_where_ksqldb_does_not_answer(servers: Servers) -> None:
    assert await exit_status(servers, KSQLDB_URL=f"http://127.0.0.1:{free_port()}") == 2


async def test_the_commands_exit_status_is_2_where_ksqldb_has_no_queries(
    golden_run: KafkaSettings, servers: Servers
) -> None:
    async with answering(Answers()) as url:
        assert await exit_status(servers, FRAUD_RULES=str(RULES), KSQLDB_URL=url) == 2


async def exit_status(servers: Servers, **environment: str) -> int:
    """The answer of `fraud compare`."""
    command = [sys.executable, "-m", "fraud", "compare", "--format", "json"]
    env = {**os.environ, **servers.environment, "FRAUD_APP": "golden", **environment}
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.DEVNULL)
    async with asyncio.timeout(60):
        return await process.wait()

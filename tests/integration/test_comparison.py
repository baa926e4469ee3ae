"""Three formats, the whole way, against what ksqlDB recorded of them; and every kind of difference, planted."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fraud.compare import Comparison
from fraud.compare_command import compare_engines
from fraud.engines import python_lag
from fraud.rules import load
from schemas.codecs import payment_codecs
from schemas.kafka import KafkaSettings
from schemas.registry import Registry
from schemas.topics import PAYMENT_LATE
from tests.conftest import Servers
from tests.golden import HERE, lines, payments
from tests.integration.processes import Json, make_topics, producer, running, until

RULES = HERE / "three-formats.rules.toml"
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
    assert {each.kind for each in comparison.differences} == {"only_python"}, comparison.differences[:5]
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
        [found] = [each for each in comparison.differences if each.rule == "structuring"]
        assert found.kind == kind
        assert fields is None or set(found.fields) == fields
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
        [found] = [each for each in (await compared(golden_run)).differences if each.rule == "structuring"]
        assert (found.kind, found.late) == ("late", 1)
    finally:
        await play(golden_run, [last])

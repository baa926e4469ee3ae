"""The rules on Kafka Streams, `compose/streams`, play what a real ksqlDB was given: the same rows in the same order."""

import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import jpype
import msgspec
import pytest

from fraud.bank_names import fold_bank
from fraud.commands.rules import meaning
from fraud.rules import Rule, load, parse
from schemas.payment import Payment, encode_json
from tests import golden
from tests.oracle.kafka_streams import start_java

SETTINGS = {
    "application.id": "golden",
    "bootstrap.servers": "nowhere:9092",
    "statestore.cache.max.bytes": "0",
    # The driver commits after each record: on disk that would take a minute.
    "dsl.store.suppliers.class": "org.apache.kafka.streams.state.BuiltInDslStoreSuppliers$InMemoryDslStoreSuppliers",
}
Record = tuple[str, Payment, int]
"""Topic, payment, time."""


def rows(rule: Rule, records: Iterable[Record], folder: Path) -> list[tuple[bytes, bytes | None, int]]:
    """The records on the rule's sink: key, value, time."""
    start_java()
    streams = jpype.JPackage("streams")
    file = folder / "rules.json"
    file.write_bytes(msgspec.json.encode([meaning(rule)]))
    [ruled] = streams.Rule.read(jpype.java.nio.file.Path.of(str(file)))
    topology = streams.RuleTopology.of(ruled, streams.PaymentDeserializer(streams.SchemaRegistry("http://nowhere")))
    settings = jpype.JClass("java.util.Properties")()
    settings.putAll(jpype.java.util.HashMap(SETTINGS | {"state.dir": str(folder / "state")}))
    serdes = jpype.JPackage("org").apache.kafka.common.serialization.Serdes
    none, raw = serdes.ByteArray().serializer(), serdes.ByteArray()
    with jpype.JPackage("org").apache.kafka.streams.TopologyTestDriver(topology, settings) as driver:
        inputs = {
            topic: driver.createInputTopic(topic, none, raw.serializer())
            for topic in ("payment_json", "payment_avro", "payment_protobuf")
        }
        for topic, payment, at_ms in records:
            value = jpype.JArray(jpype.JByte)(encode_json(payment))
            inputs[topic].pipeInput(jpype.JArray(jpype.JByte)(b""), value, at_ms)
        sink = driver.createOutputTopic(f"ksqldb_{rule.name}", raw.deserializer(), raw.deserializer())
        return [
            (bytes(row.key()), None if row.value() is None else bytes(row.value()), int(row.timestamp()))
            for row in sink.readRecordsToList()
        ]


def as_replayed(rule: Rule, key: bytes, value: bytes | None, timestamp: int) -> dict[str, Any]:
    """A row with the fields of `fraud replay`."""
    assert value is not None
    row = json.loads(value, parse_float=Decimal)
    group = {column: row[column.upper()] for column in rule.group_by}
    named = {f"K_{column.upper()}": value for column, value in group.items()}
    assert json.loads(key[:-8]) == (named if len(group) > 1 else next(iter(named.values())))
    assert int.from_bytes(key[-8:], "big") == row["WINDOW_START"]
    return {
        "rule": rule.name,
        "group": group,
        "window_start": row["WINDOW_START"],
        "window_end": row["WINDOW_END"],
        "payment_count": row["PAYMENT_COUNT"],
        "total_amount": str(row["TOTAL_AMOUNT"]),
        "max_amount": float(row["MAX_AMOUNT"]),
        "payment_ids": row["PAYMENT_IDS"],
        "row_timestamp": timestamp,
    }


@pytest.mark.parametrize("window", golden.WINDOWS)
@pytest.mark.parametrize("name", ["a", "b"])
def test_every_row_is_that_of_ksqldb_in_the_same_order(name: str, window: str, tmp_path: Path) -> None:
    records = [("payment_json", payment, payment.timestamp) for payment in golden.payments(name)]
    recorded = {
        rule: rows for (at, emit, rule), rows in golden.recorded(name).items() if (at, emit) == (window, "changes")
    }
    rules = [rule for rule in parse(golden.rules_toml(window), "golden") if rule.name in recorded]
    assert len(rules) == len(recorded) > 0
    for rule in rules:
        (folder := tmp_path / rule.name).mkdir()
        assert [as_replayed(rule, *row) for row in rows(rule, records, folder)] == recorded[rule.name], rule.name


def test_the_last_row_of_each_window_is_that_of_ksqldb_over_three_formats(tmp_path: Path) -> None:
    records = [(payment.topic, payment, payment.timestamp) for payment in golden.payments("three-formats")]
    played: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for rule in load(golden.HERE / "three-formats.rules.toml"):
        (folder := tmp_path / rule.name).mkdir()
        for row in (as_replayed(rule, *record) for record in rows(rule, records, folder)):
            played[rule.name, tuple(row["group"].values()), row["window_start"]] = (
                row["payment_count"],
                row["total_amount"],
                row["max_amount"],
                sorted(row["payment_ids"]),
                row["window_end"],
            )
    recorded = golden.last_rows_of_three_formats()
    assert {window: played.get(window) for window in recorded} == recorded
    # Of the shortest windows some were late for ksqlDB, which read three topics of six partitions as they came.
    assert {rule for rule, _, _ in played.keys() - recorded.keys()} == {"velocity"}


def test_a_bank_is_folded_before_grouping_where_the_rule_says_so(tmp_path: Path) -> None:
    young = "\u2c5f \U00010597"
    """Letters that got their capitals after Unicode 13."""
    spellings = [f"First $1 Großbank {young}", f" first  $1 GROSSBANK {young}", f"FIRST\u00a0$1 großBANK {young} "]
    records = [
        ("payment_json", Payment(str(UUID(int=place)), bank, 7, 4000.0, "ACH", 1), 1_795_392_000_000 + place)
        for place, bank in enumerate(spellings)
    ]
    text = """
        [[rule]]
        name = "folded"
        group_by = ["payor_account_no", "payee_bank", "payee_account_no"]
        window = "24h"
        total_above = 10000.00
    """
    (apart,), (folded,) = parse(text, "apart"), parse(text + "fold_banks = true", "folded")
    for rule in apart, folded:
        (tmp_path / rule.fingerprint).mkdir()
    assert rows(apart, records, tmp_path / apart.fingerprint) == []
    [row] = [as_replayed(folded, *row) for row in rows(folded, records, tmp_path / folded.fingerprint)]
    assert row["group"] == {"payor_account_no": 1, "payee_bank": fold_bank(spellings[0]), "payee_account_no": 7}
    assert row["total_amount"] == "12000.00"

"""From the raw topics to the queue, through real processes and a real Kafka."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from schemas.codecs import PaymentCodec, payment_codecs
from schemas.kafka import KafkaSettings
from schemas.payment import FIELDS, Payment
from schemas.registry import Registry, RegistrySettings
from schemas.topics import PAYMENT_AVRO, PAYMENT_JSON, PAYMENT_PROTOBUF, PAYMENT_REJECTED, PAYMENTS, RAW_TOPICS
from tests.conftest import Servers
from tests.golden import HERE, lines, payments
from tests.integration.processes import Json, cases, make_topics, producer, read_all, running, until

RULES = str(HERE / "three-formats.rules.toml")


@pytest.fixture
async def codecs(registry: RegistrySettings) -> dict[str, PaymentCodec]:
    return await payment_codecs(Registry(registry))


async def send(client: AIOKafkaProducer, codecs: dict[str, PaymentCodec], topic: str, payment: Payment) -> None:
    key = str(payment.payor_account_no).encode()
    await client.send_and_wait(topic, codecs[topic].encode(payment), key=key)


def payment(amount: float, *, payor: int, payee: int = 200, bank: str = "First National") -> Payment:
    return Payment(str(uuid4()), bank, payee, amount, "ACH", payor)


async def test_three_formats_end_in_the_windows_that_ksqldb_recorded(
    servers: Servers, kafka: KafkaSettings, codecs: dict[str, PaymentCodec], tmp_path: Path
) -> None:
    await make_topics(kafka, **{"retention.ms": "-1", "cleanup.policy": "delete"})
    async with producer(kafka) as client:
        for line in payments("three-formats"):
            await client.send(
                line.topic,
                codecs[line.topic].encode(line),
                key=str(line.payor_account_no).encode(),
                partition=line.partition,
                timestamp_ms=line.timestamp,
            )
        await client.flush()
    expected = last_rows()

    async def all_there() -> bool:
        return by_window(await cases(kafka)).keys() >= expected.keys() and await settled(kafka)

    with running(servers, tmp_path / "fraud.log", "fraud", "run", FRAUD_RULES=RULES, FRAUD_APP="golden"):
        await until(all_there, 60)
    found = by_window(await cases(kafka))
    assert {window: found[window] for window in expected} == expected
    # Played back 36 hours in seconds, with its cache on, ksqlDB lost 37 of velocity's 41 ten-minute windows.
    assert Counter(rule for rule, _, _ in found.keys() - expected.keys()) == {"velocity": 37}


def last_rows() -> dict[tuple[str, str, int], Json]:
    """ksqlDB's result of each window: the last record of each key."""
    rows = {}
    for record in map(json.loads, lines("three-formats.ksqldb")):
        value = json.loads(record["value"], parse_float=Decimal)
        rule = record["topic"].removeprefix("ksqldb_")
        group = {name.lower(): value[name] for name in value if name.endswith("_NO") or name == "PAYEE_BANK"}
        rows[rule, json.dumps(group, sort_keys=True), value["WINDOW_START"]] = {
            "window_end": value["WINDOW_END"],
            "payment_count": value["PAYMENT_COUNT"],
            "total_amount": Decimal(value["TOTAL_AMOUNT"]),
            "max_amount": float(value["MAX_AMOUNT"]),
            "payments": sorted(value["PAYMENT_IDS"]),
        }
    return rows


def by_window(found: dict[str, Json]) -> dict[tuple[str, str, int], Json]:
    """The cases, in the same shape."""
    return {
        (case["rule"], json.dumps(case["group"], sort_keys=True), case["window_start"]): {
            "window_end": case["window_end"],
            "payment_count": case["payment_count"],
            "total_amount": Decimal(case["total_amount"]),
            "max_amount": case["max_amount"],
            "payments": sorted(payment["id"] for payment in case["payments"]),
        }
        for case in found.values()
    }


async def settled(kafka: KafkaSettings) -> bool:
    """Whether every raw payment has been normalised."""
    return len(await read_all(kafka, PAYMENTS)) == len(await read_all(kafka, *RAW_TOPICS))


@pytest.fixture
async def _pipeline(servers: Servers, kafka: KafkaSettings, tmp_path: Path):  # type: ignore[no-untyped-def]  # noqa: ANN202
    await make_topics(kafka)
    with running(servers, tmp_path / "fraud.log", "fraud", "run", FRAUD_APP=uuid4().hex):
        yield


@pytest.mark.usefixtures("_pipeline")
async def test_a_pair_that_crosses_the_line_makes_a_case_and_one_that_only_reaches_it_does_not(
    kafka: KafkaSettings, codecs: dict[str, PaymentCodec]
) -> None:
    async with producer(kafka) as client:
        for amounts, payor in (((9999.99, 0.01), 1), ((9999.99, 0.02), 2), ((10000.00, 0.02), 3)):
            for topic, amount in zip((PAYMENT_AVRO, PAYMENT_PROTOBUF), amounts, strict=True):
                await send(client, codecs, topic, payment(amount, payor=payor))
        for bank in ("First National", "Second State"):
            for topic in (PAYMENT_JSON, PAYMENT_AVRO):
                await send(client, codecs, topic, payment(3000.00, payor=4, bank=bank))
        for topic in RAW_TOPICS:
            await send(client, codecs, topic, payment(4000.01, payor=5))

    async def last_one_found() -> bool:
        return any(case["group"]["payor_account_no"] == 5 for case in await structuring(kafka))

    await until(last_one_found)
    found = {case["group"]["payor_account_no"]: case for case in await structuring(kafka)}
    assert {payor: case["total_amount"] for payor, case in found.items()} == {2: "10000.01", 5: "12000.03"}
    assert found[5]["payment_count"] == 3
    assert [each["topic"] for each in found[5]["payments"]] == list(RAW_TOPICS)


async def structuring(kafka: KafkaSettings) -> list[Json]:
    return [case for case in (await cases(kafka)).values() if case["rule"] == "structuring"]


@pytest.mark.usefixtures("_pipeline")
async def test_bad_records_are_set_aside_with_their_reason_and_the_next_good_ones_are_detected(
    kafka: KafkaSettings, codecs: dict[str, PaymentCodec]
) -> None:
    good = payment(6000.00, payor=7)
    avro = codecs[PAYMENT_AVRO].encode(good)
    plain = json.dumps({name: getattr(good, name) for name in FIELDS if name != "payee_bank"}).encode()
    bad: list[tuple[str, bytes | None, str]] = [
        (PAYMENT_JSON, b"garbage", "wire format"),
        (PAYMENT_JSON, None, "null value"),
        (PAYMENT_JSON, plain, "payee_bank"),
        (PAYMENT_JSON, avro, "is AVRO, not JSON"),
        (PAYMENT_AVRO, b"\0\x7f\xff\xff\xff" + avro[5:], "unknown to the registry"),
        (PAYMENT_AVRO, avro[:-4], "cut short"),
        (PAYMENT_PROTOBUF, codecs[PAYMENT_PROTOBUF].encode(good)[:-3], "cut short"),
        (PAYMENT_PROTOBUF, codecs[PAYMENT_PROTOBUF].encode(payment(-1.0, payor=7)), "payment_amount"),
    ]
    async with producer(kafka) as client:
        for topic, value, _ in bad:
            await client.send_and_wait(topic, value, key=b"7")
        for topic in (PAYMENT_JSON, PAYMENT_PROTOBUF):
            await send(client, codecs, topic, payment(6000.00, payor=7))

    async def found() -> bool:
        return bool(await structuring(kafka))

    await until(found)
    rejected = await read_all(kafka, PAYMENT_REJECTED)
    assert Counter(record.value for record in rejected) == Counter(value for _, value, _ in bad)
    for record in rejected:
        headers = {name: text.decode() for name, text in record.headers}
        assert any(
            topic == headers["topic"] and value == record.value and reason in headers["reason"]
            for topic, value, reason in bad
        ), headers
        assert record.key == b"7"
        assert {"partition", "offset", "timestamp"} <= headers.keys()
    [case] = await structuring(kafka)
    assert case["payment_count"] == 2


@pytest.mark.usefixtures("_pipeline")
async def test_plain_json_from_other_producers_is_read_whatever_its_key(kafka: KafkaSettings) -> None:
    async with producer(kafka) as client:
        for number in range(2):
            body = {name: getattr(payment(6000.00, payor=9), name) for name in FIELDS}
            value = json.dumps({**body, "channel": "branch"}).encode()
            await client.send_and_wait(PAYMENT_JSON, value, key=f"any {number}".encode(), partition=number)

    async def found() -> bool:
        return bool(await structuring(kafka))

    await until(found)

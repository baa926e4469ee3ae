"""From the raw topics to the queue, through real processes and a real Kafka."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from uuid import uuid4

import confluent_kafka
import pytest
from aiokafka import AIOKafkaProducer

from schemas.codecs import PaymentCodec, payment_codecs
from schemas.kafka.reading import offset_bounds
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import (
    FRAUD_STATE,
    PAYMENT_AVRO,
    PAYMENT_JSON,
    PAYMENT_PROTOBUF,
    PAYMENT_REJECTED,
    PAYMENTS_BY_PAYEE,
    RAW_TOPICS,
    REVIEW_QUEUE,
)
from schemas.payment import FIELDS, Payment
from schemas.registry import Registry, RegistrySettings
from tests.conftest import Servers
from tests.integration.processes import Json, cases, make_topics, producer, read_all, running, until


@pytest.fixture
async def codecs(registry: RegistrySettings) -> dict[str, PaymentCodec]:
    return await payment_codecs(Registry(registry))


async def send(client: AIOKafkaProducer, codecs: dict[str, PaymentCodec], topic: str, payment: Payment) -> None:
    key = str(payment.payor_account_no).encode()
    await client.send_and_wait(topic, codecs[topic].encode(payment), key=key)


def payment(amount: float, *, payor: int, payee: int = 200, bank: str = "First National") -> Payment:
    return Payment(str(uuid4()), bank, payee, amount, "ACH", payor)


@pytest.fixture
async def _pipeline(servers: Servers, kafka: KafkaSettings, tmp_path: Path):  # type: ignore[no-untyped-def]  # noqa: ANN202
    await make_topics(kafka)
    with running(servers, tmp_path / "fraud.log", "fraud", "run", FRAUD_APP=uuid4().hex):
        yield


@pytest.mark.usefixtures("_pipeline")
async def test_tasks_without_records_commit_nothing_while_another_one_does(
    kafka: KafkaSettings, codecs: dict[str, PaymentCodec]
) -> None:
    async def ends() -> dict[int, int]:
        bounds = await offset_bounds(kafka, [FRAUD_STATE])
        return {partition.partition: end for partition, (_, end) in bounds.items() if end}

    async with producer(kafka) as client:
        before: dict[int, int] = {}
        for _ in range(3):
            await send(client, codecs, PAYMENT_JSON, payment(1.0, payor=1))

            async def committed(before: dict[int, int] = before) -> bool:
                return sum((await ends()).values()) > sum(before.values())

            await until(committed)
            before = await ends()
    assert len(before) == 1


@pytest.mark.usefixtures("_pipeline")
async def test_a_pair_that_crosses_the_line_makes_a_case_and_one_that_only_reaches_it_does_not(
    kafka: KafkaSettings, codecs: dict[str, PaymentCodec]
) -> None:
    async with producer(kafka) as client:
        for amounts, payor in (
            ((9999.99, 0.01), 1),
            ((9999.99, 0.02), 2),
            ((10000.01, 0.02), 3),
            ((10000.00, 0.01), 6),
        ):
            for topic, amount in zip((PAYMENT_AVRO, PAYMENT_PROTOBUF), amounts, strict=True):
                await send(client, codecs, topic, payment(amount, payor=payor))
        for bank in ("First National", "Second State"):
            for topic in (PAYMENT_JSON, PAYMENT_AVRO):
                await send(client, codecs, topic, payment(3000.00, payor=4, bank=bank))
        for topic in RAW_TOPICS:
            await send(client, codecs, topic, payment(4000.01, payor=5))

    async def both_found() -> bool:
        return {2, 5, 6} <= {case["group"]["payor_account_no"] for case in await structuring(kafka)}

    await until(both_found)
    by_payor = {case["group"]["payor_account_no"]: case for case in await structuring(kafka)}
    assert {payor: case["total_amount"] for payor, case in by_payor.items()} == {
        2: "10000.01",
        5: "12000.03",
        6: "10000.01",
    }
    assert by_payor[5]["payment_count"] == 3
    assert {listed_payment["topic"] for listed_payment in by_payor[5]["payments"]} == set(RAW_TOPICS)


@pytest.mark.usefixtures("_pipeline")
async def test_a_request_id_travels_from_the_raw_topic_to_the_case_and_with_what_is_rejected(
    kafka: KafkaSettings, codecs: dict[str, PaymentCodec]
) -> None:
    async with producer(kafka) as client:
        for request_id in (b"one", b"two"):
            value = codecs[PAYMENT_JSON].encode(payment(6000.00, payor=11))
            await client.send_and_wait(PAYMENT_JSON, value, key=b"11", headers=[("request_id", request_id)])
        await client.send_and_wait(PAYMENT_JSON, b"garbage", key=b"11", headers=[("request_id", b"three")])

    async def all_there() -> bool:
        return bool(await structuring(kafka)) and bool(await read_all(kafka, PAYMENT_REJECTED))

    await until(all_there)
    by_topic = {topic: await read_all(kafka, topic) for topic in (PAYMENTS_BY_PAYEE, REVIEW_QUEUE, PAYMENT_REJECTED)}
    ids = {topic: [dict(record.headers)["request_id"] for record in read] for topic, read in by_topic.items()}
    assert ids[PAYMENTS_BY_PAYEE] == [b"one", b"two"]
    assert {*ids[REVIEW_QUEUE]} == {b"two"}
    assert ids[PAYMENT_REJECTED] == [b"three"]


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

    async def is_detected() -> bool:
        return bool(await structuring(kafka))

    await until(is_detected)
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
async def test_plain_json_from_other_producers_is_read_whatever_its_key_and_compression(kafka: KafkaSettings) -> None:
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")
    for payor, codec in enumerate(codecs):
        client = confluent_kafka.Producer(
            {"bootstrap.servers": kafka.kafka_bootstrap_servers, "compression.type": codec}
        )
        for number in range(2):
            body = {name: getattr(payment(6000.00, payor=payor), name) for name in FIELDS}
            value = json.dumps({**body, "channel": "branch" * 100}).encode()
            client.produce(PAYMENT_JSON, value, key=f"any {number}".encode(), partition=number)
        assert await asyncio.to_thread(client.flush, 30) == 0

    async def is_detected() -> bool:
        return len(await structuring(kafka)) == len(codecs)

    await until(is_detected)

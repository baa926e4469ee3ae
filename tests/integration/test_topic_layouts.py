"""Whatever partitions and keys the raw topics have, each payment is judged once, by the task of its payor's home."""

import asyncio
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import confluent_kafka
import pytest
from aiokafka.admin import NewPartitions

from fraud.comparison.lag import python_lag
from fraud.detection.partition_keys import payor_key
from schemas.codecs import PaymentCodec, payment_codecs
from schemas.kafka.partitioning import partition_of
from schemas.kafka.reading import end_offsets
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_AVRO, PAYMENT_JSON, PAYMENT_PROTOBUF, PAYMENTS, RAW_TOPICS
from schemas.payment import Payment
from schemas.registry import Registry, RegistrySettings
from tests.conftest import Servers
from tests.integration.processes import admin_client, cases, ledger_ids, make_topics, read_all, running, until

PAYORS = 12
ROUNDS = 4


@pytest.fixture
async def codecs(registry: RegistrySettings) -> dict[str, PaymentCodec]:
    return await payment_codecs(Registry(registry))


def payments(first: int = 0) -> list[Payment]:
    """Four payments of each payor to one payee: a case of structuring each, whatever task has all of them."""
    return [
        Payment(str(UUID(int=first + number)), "First", 7, 3000.00, "ACH", number % PAYORS)
        for number in range(PAYORS * ROUNDS)
    ]


async def send(
    kafka: KafkaSettings,
    codecs: dict[str, PaymentCodec],
    sent: list[Payment],
    key: str = "payor",
    compression: str = "none",
    murmur2: int | None = None,
) -> None:
    """Each payment to one of the raw topics in turn, by librdkafka's partitioner, or by the service's: over `murmur2`
    partitions.
    """
    client = confluent_kafka.Producer(
        {"bootstrap.servers": kafka.kafka_bootstrap_servers, "compression.type": compression}
    )
    for number, payment in enumerate(sent):
        topic = RAW_TOPICS[number % 3]
        payor = payor_key(payment.payor_account_no)
        keys: dict[str, Any] = {"payor": payor, "foreign": payment.id.encode(), "none": None}
        partition = {"partition": partition_of(payor, murmur2)} if murmur2 else {}
        client.produce(topic, codecs[topic].encode(payment), key=keys[key], **partition)
    assert await asyncio.to_thread(client.flush, 30) == 0


async def assert_judged(servers: Servers, folder: Path, sent: list[Payment], app: str) -> None:
    """Every payment is in a ledger once, and every payor has one case with all of its payments."""
    kafka = servers.kafka_settings

    async def is_done() -> bool:
        return await python_lag(kafka, app) == 0 and (await ledger_ids(kafka)).total() >= len(sent)

    with running(servers, folder / f"{app}.log", "fraud", "run", FRAUD_APP=app):
        await until(is_done, 60)
    assert await ledger_ids(kafka) == Counter(payment.id for payment in sent)
    totals: Counter[int] = Counter()
    for payment in sent:
        totals[payment.payor_account_no] += int(payment.payment_amount)
    structuring = [case for case in (await cases(kafka)).values() if case["rule"] == "structuring"]
    assert {case["group"]["payor_account_no"]: Decimal(case["total_amount"]) for case in structuring} == totals


@pytest.mark.parametrize("key", ["payor", "foreign", "none"])
async def test_keys_of_any_kind(
    servers: Servers, kafka: KafkaSettings, codecs: dict[str, PaymentCodec], tmp_path: Path, key: str
) -> None:
    await make_topics(kafka)
    await send(kafka, codecs, payments(), key)
    await assert_judged(servers, tmp_path, payments(), uuid4().hex)


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_compressed_batches(
    servers: Servers, kafka: KafkaSettings, codecs: dict[str, PaymentCodec], tmp_path: Path, compression: str
) -> None:
    await make_topics(kafka)
    await send(kafka, codecs, payments(), compression=compression)
    await assert_judged(servers, tmp_path, payments(), uuid4().hex)


@pytest.mark.parametrize(
    "partitions",
    [
        {PAYMENT_JSON: 1, PAYMENT_AVRO: 4, PAYMENT_PROTOBUF: 9},
        {PAYMENT_JSON: 12, PAYMENT_AVRO: 12, PAYMENT_PROTOBUF: 12},
        {PAYMENT_JSON: 7, PAYMENT_AVRO: 6, PAYMENT_PROTOBUF: 2},
    ],
    ids=["fewer and more", "twice as many", "mixed"],
)
async def test_raw_topics_with_other_numbers_of_partitions(
    servers: Servers,
    kafka: KafkaSettings,
    codecs: dict[str, PaymentCodec],
    tmp_path: Path,
    partitions: dict[str, int],
) -> None:
    await make_topics(kafka, partitions_of=partitions)
    await send(kafka, codecs, payments())
    await assert_judged(servers, tmp_path, payments(), uuid4().hex)
    assert all(record.partition < 6 for record in await read_all(kafka, PAYMENTS))


async def test_what_was_at_home_yesterday_and_is_not_today_counts_once(
    servers: Servers, kafka: KafkaSettings, codecs: dict[str, PaymentCodec], tmp_path: Path
) -> None:
    """Six partitions, then ten: a payor's first payments are read where they are judged, the next may not be."""
    await make_topics(kafka)
    app = uuid4().hex
    before, after = payments(), payments(first=1000)
    await send(kafka, codecs, before, murmur2=6)
    await assert_judged(servers, tmp_path, before, app)
    assert await read_all(kafka, PAYMENTS) == []
    async with admin_client(kafka) as admin:
        await admin.create_partitions({topic: NewPartitions(10) for topic in RAW_TOPICS})

    async def have_ten() -> bool:
        return len(await end_offsets(kafka, RAW_TOPICS)) == 30

    await until(have_ten)
    await send(kafka, codecs, after, murmur2=10)
    await assert_judged(servers, tmp_path, [*before, *after], app)
    moved = {
        payor for payor in range(PAYORS) if partition_of(payor_key(payor), 6) != partition_of(payor_key(payor), 10)
    }
    assert {int(record.key) for record in await read_all(kafka, PAYMENTS)} == moved

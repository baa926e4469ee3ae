"""Garbage by the thousand, mixed with good payments: every good one is detected, all else is set aside once.

GARBAGE_RECORDS: how much of it.
"""

import asyncio
import json
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest
from aiohttp.test_utils import TestClient
from aiokafka import AIOKafkaProducer
from aiokafka.producer import message_accumulator, producer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from schemas import wire_format
from schemas.codecs import PaymentCodec, payment_codecs
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import (
    FRAUD_STATE,
    PAYMENT_LATE,
    PAYMENT_REJECTED,
    PAYMENTS,
    PAYMENTS_BY_PAYEE,
    RAW_TOPICS,
    REVIEW_DECISIONS,
    REVIEW_QUEUE,
)
from schemas.payment import FIELDS, Payment
from schemas.registry import Registry, RegistrySettings
from service.app import make_app
from tests.conftest import Servers
from tests.integration.processes import Json, cases, make_topics, read_all, running, until
from tests.integration.serving import Server, put_cases, queue, ready, settings
from tests.integration.serving import case as case_of

RECORDS = int(os.environ.get("GARBAGE_RECORDS", "5000"))
PAYORS = 100
MAX_VALUE_BYTES = 1_048_400
HUGE = ["1e400", "9" * 40 + ".5", "1E-999999999", "1E-9999999999999999999"]
FOR_EVER = {"retention.ms": "-1"}
"""Some of the records are of 1970: whatever is the first in its partition would be deleted before it is read."""
AT_ONCE = 2_000


class NotUtf8(str):
    """A header's key, with `_raw_header_keys`."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


@pytest.fixture(autouse=True)
def _raw_header_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let producers write any header key: their compiled builder takes text alone."""
    for module in (message_accumulator, producer):
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)


class Record(NamedTuple):
    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: list[tuple[str, bytes | None]] = []  # noqa: RUF012 - a NamedTuple's default
    timestamp: int | None = None


def good(codecs: dict[str, PaymentCodec], some: random.Random) -> Iterator[Record]:
    """Two payments of $6,000 from each payor to one payee: a case of `structuring` each."""
    for payor in range(1, PAYORS + 1):
        for topic in some.sample(RAW_TOPICS, 2):
            payment = Payment(str(UUID(int=some.getrandbits(128))), "First National", 200, 6000.0, "ACH", payor)
            headers = [(NotUtf8("key"), b"x")] if payor % 10 == 0 else []
            yield Record(
                topic, codecs[topic].encode(payment), some.choice([None, str(payor).encode(), b"\xff"]), headers
            )


def bad_value(codecs: dict[str, PaymentCodec], topic: str, some: random.Random) -> bytes | None:
    payment = Payment(str(UUID(int=some.getrandbits(128))), "First National", 200, 6000.0, "ACH", 1)
    whole = codecs[topic].encode(payment)
    header = whole[: wire_format.HEADER_BYTES]
    fields = {name: getattr(payment, name) for name in FIELDS}
    wrong = {**fields, some.choice(FIELDS): some.choice([None, [], {}, True, "\ud800", -1, 1e400])}
    too_small = Payment(payment.id, "First National", 200, -1.0, "ACH", 1)
    another = some.choice([other_topic for other_topic in RAW_TOPICS if other_topic != topic])
    return some.choice(
        [
            some.randbytes(some.randrange(1, 300)),
            some.randbytes(50_000 if some.random() < 0.02 else 40),
            whole[: some.randrange(len(whole) // 2)],
            wire_format.header(some.randrange(1_000, 1_020)) + whole[wire_format.HEADER_BYTES :],
            codecs[another].encode(payment),
            codecs[topic].encode(too_small),
            some.choice([None, b"", b"\0", b"{", b"null", b"[]"]),
            b'{"id":"\xff\xfe","payee_bank":"\xc3\x28"}',
            json.dumps(wrong).encode(),
            json.dumps({**fields, "payee_account_no": 200.0}).replace("6000.0", some.choice(HUGE)).encode(),
            b'{"more":' + b"[" * some.randrange(1_000, 20_000),
            header + b"\xfe" + b"\xff" * some.randrange(1, 30),
            header + bytes(some.randrange(2_000)),
        ]
    )


def bad(codecs: dict[str, PaymentCodec], some: random.Random) -> Iterator[Record]:
    yield Record(RAW_TOPICS[0], b"{" * MAX_VALUE_BYTES)
    yield Record(RAW_TOPICS[1], bytes(MAX_VALUE_BYTES), headers=[("h", b"v" * 20)])
    yield Record(PAYMENTS, b"x" * MAX_VALUE_BYTES, b"k" * 50)
    yield Record(RAW_TOPICS[2], b"x", b"k" * 500_000, [("h", b"v" * 500_000)])
    for number in range(RECORDS - 4):
        topic = some.choice([*RAW_TOPICS * 5, PAYMENTS, PAYMENTS_BY_PAYEE])
        value = bad_value(codecs, topic if topic in RAW_TOPICS else RAW_TOPICS[0], some)
        key = some.choice([None if value else b"1", b"", b"1", b"\xff\0", some.randbytes(20)])  # aiokafka wants either
        headers = some.choice(
            [[], [("reason", b"mine")], [("", None)], [("ü" * 50, b"\xff")] * 20, [("h", b"v" * 30_000)]]
        )
        yield Record(topic, value, key, headers if number % 10 == 0 else [], some.choice([None, None, None, 0, 1_000]))


async def send(kafka: KafkaSettings, records: list[Record]) -> list[tuple[str, int, int, bytes | None]]:
    """Send records; the place of each."""
    places = []
    async with AIOKafkaProducer(**kafka.client_options(), max_request_size=1_100_000, linger_ms=5) as client:
        for start in range(0, len(records), AT_ONCE):
            sent = [
                await client.send(
                    record.topic, record.value, record.key, timestamp_ms=record.timestamp, headers=record.headers
                )
                for record in records[start : start + AT_ONCE]
            ]
            places += [(record.topic, record.partition, record.offset) for record in await asyncio.gather(*sent)]
    return [(*place, record.value) for place, record in zip(places, records, strict=True)]


@pytest.mark.timeout(600)
async def test_all_good_payments_are_detected_and_all_else_is_set_aside_once(
    servers: Servers, kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    some = random.Random(1)
    await make_topics(kafka, **FOR_EVER)
    codecs = await payment_codecs(Registry(registry))
    good_records, bad_records = list(good(codecs, some)), list(bad(codecs, some))
    mixed = [*good_records, *bad_records]
    some.shuffle(mixed)
    with running(servers, tmp_path / "fraud.log", "fraud", "run", FRAUD_APP=uuid4().hex) as fraud:
        places = await send(kafka, mixed)
        garbage = {id(record) for record in bad_records}
        expected = {place[:3]: place[3] for place, record in zip(places, mixed, strict=True) if id(record) in garbage}

        async def all_set_aside() -> bool:
            fraud.check()
            return len(await read_all(kafka, PAYMENT_REJECTED)) >= len(expected)

        with suppress(TimeoutError):  # what is missing is said below
            await until(all_set_aside, 30 + RECORDS / 200)

        async def all_detected() -> bool:
            return len(await structuring(kafka)) >= PAYORS

        await until(all_detected)
    cases_of_rule = await structuring(kafka)
    assert {case["group"]["payor_account_no"] for case in cases_of_rule} == set(range(1, PAYORS + 1))
    assert {(case["total_amount"], case["payment_count"]) for case in cases_of_rule} == {("12000.00", 2)}
    set_aside = {}
    for record in await read_all(kafka, PAYMENT_REJECTED):
        headers = {name: (text or b"").decode() for name, text in record.headers if name in ORIGIN}
        assert headers.keys() >= set(ORIGIN[:5])
        place = headers["topic"], int(headers["partition"]), int(headers["offset"])
        assert place not in set_aside
        set_aside[place] = record.value
        assert record.value == expected[place] or (
            int(headers["size"]) == len(expected[place] or b"") and (expected[place] or b"").startswith(record.value)
        )
    assert {place: expected[place] for place in expected.keys() - set_aside.keys()} == {}
    assert set_aside.keys() == expected.keys()
    assert len((tmp_path / "fraud.log").read_text().splitlines()) < 200 + RECORDS / 20


ORIGIN = ("reason", "topic", "partition", "offset", "timestamp", "size")


async def structuring(kafka: KafkaSettings) -> list[Json]:
    return [case for case in (await cases(kafka)).values() if case["rule"] == "structuring"]


async def test_garbage_on_the_topics_that_the_queue_is_made_of_is_counted_and_stops_nothing(
    kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    some = random.Random(2)
    await make_topics(kafka)
    almost = json.dumps({**case_of(1), "window_start": 2**63}).encode()
    garbage = [
        Record(topic, value, some.choice([b"\xff", b"1"]))
        for topic in (REVIEW_QUEUE, REVIEW_DECISIONS)
        for value in (b"", b"{", b"\xff", b"[" * 50_000, almost, b"{}", *(some.randbytes(50) for _ in range(200)))
    ]
    async with TestClient(Server(make_app(settings(kafka, registry, tmp_path / "view.sqlite")))) as client:
        await ready(client)
        await send(kafka, [*garbage, Record(PAYMENT_LATE, b"x", b"\xff", [(NotUtf8("key"), None)])])
        await put_cases(kafka, case_of(7))

        async def shown() -> bool:
            return len((await queue(client, payor=7))["items"]) == 1

        await until(shown)

        async def counted() -> bool:
            async with client.get("/metrics") as response:
                return f"underten_review_queue_bad_records_total {len(garbage)}.0" in await response.text()

        await until(counted)


async def test_garbage_in_the_changelog_ends_detect_with_what_to_do_and_doing_that_helps(
    servers: Servers, kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    await make_topics(kafka)
    codecs = await payment_codecs(Registry(registry))
    await send(kafka, [*good(codecs, random.Random(3))])
    garbage = [Record(FRAUD_STATE, b"x", key) for key in (b"\xff", b'["fan_out",[1],0]', b"[" * 5_000)]
    places = await send(kafka, garbage)
    app = uuid4().hex

    async def ended() -> bool:
        return fraud.process.poll() is not None

    with running(servers, tmp_path / "refused.log", "fraud", "run", FRAUD_APP=app) as fraud:
        await until(ended, 60)
        assert fraud.process.returncode == 2
    message = (tmp_path / "refused.log").read_text().splitlines()[-1]
    assert message.startswith("fraud: fraud_state, partition ")
    assert "Write that key with a null value" in message
    async with AIOKafkaProducer(**kafka.client_options()) as client:
        for record, (topic, partition, *_) in zip(garbage, places, strict=True):
            await client.send_and_wait(topic, None, record.key, partition=partition)
    with running(servers, tmp_path / "fraud.log", "fraud", "run", FRAUD_APP=app) as fraud:

        async def all_detected() -> bool:
            fraud.check()
            return len(await structuring(kafka)) >= PAYORS

        await until(all_detected)

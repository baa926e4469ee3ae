"""From a case to its payments' records on Kafka, and what a case says when those have expired."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import RAW_TOPICS
from schemas.registry import RegistrySettings
from service.app import make_app
from tests.conftest import Servers
from tests.integration.processes import admin_client, make_topics, running, until
from tests.integration.serving import Client, Json, case, end_offsets, payment, post, put_cases, queue, ready, settings


@pytest.fixture
async def desk(kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path) -> AsyncIterator[Client]:
    await make_topics(kafka)
    async with TestClient(TestServer(make_app(settings(kafka, registry, tmp_path / "view.sqlite")))) as client:
        await ready(client)
        yield client


async def get(client: Client, path: str) -> tuple[int, Json]:
    async with client.get(path) as response:
        return response.status, await response.json(content_type=None)


async def case_of_rule(client: Client, payor: int, rule: str, payments: int) -> Json:
    """A payor's case by a rule, once it has so many payments."""
    lines: list[Json] = []

    async def there() -> bool:
        lines[:] = (await queue(client, payor=payor, rule=rule))["items"]
        return bool(lines) and lines[0]["payment_count"] == payments

    await until(there, 60)
    return lines[0]


async def expire(kafka: KafkaSettings) -> None:
    """Take everything off the raw topics, as their retention does."""
    ends = {
        TopicPartition(topic, number): RecordsToDelete(end)
        for topic in RAW_TOPICS
        for number, end in (await end_offsets(kafka, topic)).items()
    }
    async with admin_client(kafka) as admin:
        await admin.delete_records(ends)


async def test_a_fan_out_case_leads_to_its_payments_records_and_names_their_payees_after_these_have_expired(
    desk: Client, servers: Servers, kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    payees = [(f"Bank {number}", 200 + number) for number in range(5)]
    receipts: dict[str, Json] = {}
    with running(servers, tmp_path / "fraud.log", "fraud", "run", FRAUD_APP=uuid4().hex):
        for number, (bank, account) in enumerate(payees):
            body = payment(payor_account_no=77, payee_bank=bank, payee_account_no=account, payment_amount=4000.0)
            status, receipt = await post(desk, f"/{RAW_TOPICS[number % 3]}", body)
            assert status == 201
            receipts[receipt["id"]] = receipt
        fan_out = await case_of_rule(desk, 77, "fan_out", 5)
    for listed in fan_out["payments"]:
        status, record = await get(desk, f"/review-queue/{fan_out['case_id']}/payments/{listed['id']}")
        receipt = receipts[listed["id"]]
        assert status == 200, record
        assert {name: record[name] for name in ("topic", "partition", "offset", "timestamp")} == {
            name: receipt[name] for name in ("topic", "partition", "offset", "timestamp")
        }
        assert {**record["payment"]} == {
            **{name: listed[name] for name in ("id", "payee_bank", "payee_account_no", "payment_amount")},
            **{name: listed[name] for name in ("payment_method", "payor_account_no")},
        }
        assert record["request_id"]
    await expire(kafka)
    async with TestClient(TestServer(make_app(settings(kafka, registry, tmp_path / "another.sqlite")))) as later:
        await ready(later)
        fan_out = await case_of_rule(later, 77, "fan_out", 5)
        assert [(one["payee_bank"], one["payee_account_no"]) for one in fan_out["payments"]] == payees
        [line] = (await queue(later, by="subject", payor=77))["items"]
        _, subject = await get(later, f"/review-queue/subjects/{line['subject_id']}")
        assert sorted((one["payee_bank"], one["payee_account_no"]) for one in subject["payments"]) == payees
        for one in subject["payments"]:
            status, problem = await get(later, f"/review-queue/{one['cases'][0]}/payments/{one['id']}")
            assert (status, problem["type"]) == (410, "urn:problem-type:underten:payment-gone")


async def test_a_place_that_now_has_another_payment_or_none_is_gone(desk: Client, kafka: KafkaSettings) -> None:
    _, receipt = await post(desk, "/payment_json", payment(payor_account_no=5))
    place = {name: receipt[name] for name in ("topic", "partition", "offset")}
    changes: list[Json] = [
        {},
        {"id": str(uuid4())},
        {"offset": receipt["offset"] + 1000},
        {"partition": 1000},
        {"topic": "payment_nowhere"},
        {"topic": "review_decisions"},
    ]
    payments = [{"id": receipt["id"], **place, **change} for change in changes]
    cases = [case(5, number, payments=[one]) for number, one in enumerate(payments)]
    await put_cases(kafka, *cases)

    async def shown() -> bool:
        return len((await queue(desk, payor=5))["items"]) == len(cases)

    await until(shown)
    answers = await asyncio.gather(
        *(
            get(desk, f"/review-queue/{one['case_id']}/payments/{listed['id']}")
            for one, listed in zip(cases, payments, strict=True)
        )
    )
    kinds: list[Any] = [(status, body.get("type", "").rpartition(":")[2]) for status, body in answers]
    deleted, unknown = (410, "payment-gone"), (404, "place-unknown")
    assert kinds == [(200, ""), deleted, deleted, deleted, unknown, unknown]


async def test_a_payment_that_no_case_lists_or_whose_place_no_record_says_is_not_looked_for(
    desk: Client, kafka: KafkaSettings
) -> None:
    old = case(6)
    await put_cases(kafka, old)

    async def shown() -> bool:
        return len((await queue(desk, payor=6))["items"]) == 1

    await until(shown)
    case_id, payment_id = old["case_id"], old["payments"][0]["id"]
    assert [
        (status, body["type"].rpartition(":")[2])
        for status, body in [
            await get(desk, f"/review-queue/{case_id}/payments/{payment_id}"),
            await get(desk, f"/review-queue/{case_id}/payments/{uuid4()}"),
            await get(desk, f"/review-queue/{uuid4()}/payments/{payment_id}"),
        ]
    ] == [(404, "place-unknown"), (404, "no-such-payment"), (404, "no-such-payment")]

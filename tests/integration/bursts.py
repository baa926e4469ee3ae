"""Many payments at once to a service that faults happen to, and what became of each."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from aiohttp.test_utils import TestClient

from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_JSON
from schemas.registry import RegistrySettings
from service.app import make_app
from tests.integration.serving import Client, Json, Server, payment, records, settings

DEADLINE = 3.0
# What the client itself takes on a busy machine.
SLACK = 1.5


class Answer(NamedTuple):
    """`kind` is the end of the problem's type."""

    status: int
    kind: str
    retry_after: str | None
    seconds: float
    payment_id: str


@asynccontextmanager
async def serving(
    kafka: KafkaSettings, registry: RegistrySettings, view: Path, **changes: Any
) -> AsyncIterator[Client]:
    """The service in this process, for a client with as many connections as it likes."""
    app = make_app(settings(kafka, registry, view, **{"deadline": DEADLINE, **changes}))
    async with TestClient(Server(app), connector=aiohttp.TCPConnector(limit=0)) as client:
        yield client


async def timed_post(client: Client, content: Json) -> Answer:
    """Post a payment; its answer with the seconds that it took."""
    started = time.monotonic()
    async with client.post("/payment_json", json=content) as response:
        answer = await response.json(content_type=None)
        kind = answer.get("type", "").rpartition(":")[2]
        seconds = time.monotonic() - started
        return Answer(response.status, kind, response.headers.get("Retry-After"), seconds, content["id"])


async def burst(client: Client, number: int) -> list[Answer]:
    """That many payments at once."""
    return await asyncio.gather(*(timed_post(client, payment(payor_account_no=payor)) for payor in range(number)))


async def takes_payments(client: Client) -> bool:
    """Post a payment, and tell whether it was acknowledged."""
    return (await timed_post(client, payment())).status == 201


async def nothing_in_flight(client: Client) -> bool:
    """Tell whether no payment waits for Kafka any more."""
    async with client.get("/metrics") as response:
        return "\nunderten_payments_in_flight 0.0\n" in await response.text()


async def ids_on_kafka(kafka: KafkaSettings, since: dict[int, int]) -> Counter[str]:
    """Copies of each payment on `payment_json` after these offsets, by id."""
    return Counter(json.loads(record.value[5:])["id"] for record in await records(kafka, PAYMENT_JSON, since))


def check_truth(answers: list[Answer], copies: Counter[str]) -> None:
    """Check that acknowledged payments are on Kafka once, and those not accepted are not; the unknown may be either."""
    assert set(copies.values()) <= {1}
    assert {answer.payment_id for answer in answers if answer.status == 201} <= copies.keys()
    assert not {answer.payment_id for answer in answers if answer.kind == "not-accepted"} & copies.keys()

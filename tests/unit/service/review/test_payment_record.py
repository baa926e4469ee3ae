"""The place at which a case says that a payment stands, and the answer where Kafka says nothing."""

import asyncio
from typing import Any

import pytest

from schemas.kafka.settings import KafkaSettings
from schemas.payment_reader import PaymentReader
from schemas.registry import Registry, RegistrySettings
from service.http.problems import Problem
from service.review.payment_record import PaymentRecords, place_of

LISTED: dict[str, Any] = {"id": "a", "topic": "payment_avro", "partition": 3, "offset": 12}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in LISTED.items() if key != name}


def test_a_listed_payment_stands_where_its_case_says() -> None:
    assert place_of([LISTED | {"id": "b", "offset": 13}, LISTED], "a") == ("payment_avro", 3, 12)


@pytest.mark.parametrize(
    ("payments", "kind"),
    [
        ([], "no-such-payment"),
        ([LISTED | {"id": "b"}], "no-such-payment"),
        ([without("offset")], "place-unknown"),
        ([without("partition")], "place-unknown"),
        ([without("topic")], "place-unknown"),
        ([LISTED | {"topic": "review_decisions"}], "place-unknown"),
    ],
)
def test_a_payment_that_stands_nowhere_is_a_404(payments: list[dict[str, Any]], kind: str) -> None:
    with pytest.raises(Problem) as raised:
        place_of(payments, "a")
    assert (raised.value.status, raised.value.members["type"].rpartition(":")[2]) == (404, kind)


async def test_a_broker_that_says_nothing_makes_nobody_wait_longer_than_the_deadline() -> None:
    silent = asyncio.Event()

    async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        kafka = KafkaSettings(kafka_bootstrap_servers=f"{host}:{port}")
        records = PaymentRecords(kafka, PaymentReader(Registry(RegistrySettings())), deadline=0.2)
        with pytest.raises(Problem) as raised:
            await records.read("payment_json", 0, 0)
        silent.set()
    assert (raised.value.status, raised.value.headers["Retry-After"]) == (503, "2")

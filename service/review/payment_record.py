"""Handler of a listed payment's record: the payment as it stands on Kafka, for as long as its topic has it."""

import asyncio
from collections.abc import Iterable

from aiohttp import web
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from schemas.errors import PaymentError
from schemas.kafka.reading import record_at
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import RAW_TOPICS, REQUEST_ID
from schemas.payment import Payment
from schemas.payment_reader import PaymentReader
from service.http.problems import Problem, unavailable
from service.http.responses import json_response
from service.queue import case_reads
from service.queue.items import JsonObject
from service.review.reading import read_view
from service.review.viewing import record_viewing

MAX_AT_ONCE = 4
"""Connections to Kafka that are open for these questions; one more question waits."""
_PLACE = ("topic", "partition", "offset")


class PaymentRecords:
    """Reads single records of the raw topics, each by a connection of its own, a few at once."""

    def __init__(self, kafka: KafkaSettings, reader: PaymentReader, deadline: float) -> None:
        """`deadline`: seconds for a record, with the wait for those before it."""
        self._kafka = kafka
        self._reader = reader
        self._deadline = deadline
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)

    async def read(self, topic: str, partition: int, offset: int) -> tuple[ConsumerRecord, Payment] | None:
        """Read a payment and its record; None where the topic has it no more.

        Raises Problem (503) where Kafka does not answer in time, RegistryUnavailable, PaymentError.
        """
        try:
            async with asyncio.timeout(self._deadline):
                async with self._turns:
                    record = await record_at(self._kafka, topic, partition, offset)
                if record is None:
                    return None
                await self._reader.learn([record])
        except (KafkaError, TimeoutError) as error:
            reason = str(error) or f"nothing came within {self._deadline:g} seconds"
            raise unavailable("kafka-unavailable", f"Kafka cannot be read: {reason}", retry_after=2) from None
        return record, self._reader.read(record)


PAYMENT_RECORDS = web.AppKey("payment_records", PaymentRecords)


async def show_payment(request: web.Request) -> web.Response:
    """Answer GET /review-queue/{case_id}/payments/{payment_id}."""
    case_id, payment_id = request.match_info["case_id"], request.match_info["payment_id"]
    topic, partition, offset = place_of(await read_view(request.app, case_reads.payments, case_id), payment_id)
    record_viewing(request, "payment", case_id=case_id, payment_id=payment_id)
    try:
        read = await request.app[PAYMENT_RECORDS].read(topic, partition, offset)
    except PaymentError as error:
        raise _no_record(topic, partition, offset, f"has what is no payment there now: {error}") from None
    if read is None:
        raise _no_record(topic, partition, offset, "has it no more")
    record, payment = read
    if payment.id != payment_id:
        raise _no_record(topic, partition, offset, "has another payment there now: it was made anew")
    return json_response(_present(record, payment))


def place_of(payments: Iterable[JsonObject], payment_id: str) -> tuple[str, int, int]:
    """Return topic, partition and offset of a payment among those that a case lists; raises Problem, 404."""
    payment = next((payment for payment in payments if payment["id"] == payment_id), None)
    if payment is None:
        raise Problem(404, "no-such-payment", "there is no case with this id in the queue that lists this payment")
    if payment.get("topic") not in RAW_TOPICS or not payment.keys() >= {*_PLACE}:
        raise Problem(
            404,
            "place-unknown",
            "the case does not say where this payment stands: its record is older than that, or only the second engine "
            "has found it",
        )
    topic, partition, offset = (payment[name] for name in _PLACE)
    return topic, partition, offset


def _present(record: ConsumerRecord, payment: Payment) -> JsonObject:
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    request_id = next((value.decode(errors="replace") for name, value in record.headers if name == REQUEST_ID), None)
    return {**place, "timestamp": record.timestamp, "request_id": request_id, "payment": payment}


def _no_record(topic: str, partition: int, offset: int, why: str) -> Problem:
    detail = f"{topic} {why} (partition {partition}, offset {offset}); the case says what was counted"
    return Problem(410, "payment-gone", detail, title="Gone")

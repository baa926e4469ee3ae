"""The HTTP edge with FastAPI, uvicorn and confluent-kafka: `fastapi_edge.py PORT BOOTSTRAP TOPIC`.

The pattern is the usual one: a thread polls the producer, and its delivery reports wake the request up on the loop.
Tuned: uvloop and httptools, no access log, body and answer by orjson, validation by pydantic's compiled core, one
process; the producer is idempotent and waits for all in-sync replicas, as the service does.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Event, Thread
from typing import Annotated, Any
from uuid import UUID

import orjson
import uvicorn
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

FRAME = b"\0\0\0\0\1"
LINGER_MS = 2
FLUSH_SECONDS = 10

AccountNo = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Payment(BaseModel):
    """A payment as it is posted."""

    model_config = ConfigDict(extra="forbid", strict=False)

    id: UUID
    payee_bank: Annotated[str, Field(min_length=1, max_length=140)]
    payee_account_no: AccountNo
    payment_amount: Annotated[float, Field(gt=0, le=1e12)]
    payment_method: Annotated[str, Field(min_length=1, max_length=35)]
    payor_account_no: AccountNo


class Polled:
    """A producer and the thread that polls it."""

    def __init__(self, servers: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": LINGER_MS,
                "batch.size": 262_144,
                "partitioner": "murmur2_random",
            }
        )
        self._ending = Event()
        self._thread = Thread(target=self._poll, daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._ending.is_set():
            self._producer.poll(0.1)

    async def produce(self, topic: str, key: bytes, value: bytes) -> Message:
        """The record as it was acknowledged. Raises KafkaException."""
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[Message] = loop.create_future()

        def answer(error: KafkaError | None, message: Message) -> None:
            if acknowledged.done():
                return
            if error is None:
                acknowledged.set_result(message)
            else:
                acknowledged.set_exception(KafkaException(error))

        def delivered(error: KafkaError | None, message: Message) -> None:
            loop.call_soon_threadsafe(answer, error, message)

        self._producer.produce(topic, value, key, on_delivery=delivered)
        return await acknowledged

    def close(self) -> None:
        """Send what is left."""
        self._ending.set()
        self._thread.join()
        self._producer.flush(FLUSH_SECONDS)


def application(servers: str, topic: str) -> FastAPI:
    """The application, with one address."""
    running: dict[str, Polled] = {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running["producer"] = Polled(servers)
        yield
        running["producer"].close()

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.post(f"/{topic}")
    async def post(request: Request) -> Response:
        try:
            payment = Payment.model_validate_json(await request.body())
        except ValidationError as error:
            return Response(error.json(), 422, media_type="application/json")
        value = FRAME + orjson.dumps(payment.__dict__)
        message = await running["producer"].produce(topic, b"%d" % payment.payor_account_no, value)
        return Response(orjson.dumps(_receipt(payment, message)), 201, media_type="application/json")

    return app


def _receipt(payment: Payment, message: Message) -> dict[str, Any]:
    place = {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}
    return {"id": payment.id, **place, "timestamp": message.timestamp()[1]}


if __name__ == "__main__":
    port, servers, topic = sys.argv[1:]
    uvicorn.run(
        application(servers, topic),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )

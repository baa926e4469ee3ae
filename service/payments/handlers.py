"""The payment addresses: one payment or a batch in, receipts out once Kafka has acknowledged them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import msgspec
from aiohttp import web

from schemas.codecs import PaymentCodec, decode_posted
from schemas.payment import Payment
from service.access.authentication import IDENTITY
from service.http.bodies import BODY_BUDGET, JSON, NDJSON, media_type, read_body
from service.http.exchanges import Exchange, Take
from service.http.problems import Problem
from service.http.request_ids import record_headers
from service.http.responses import Headers, created_response
from service.payments.intake import INTAKE, PaymentIntake
from service.payments.lines import read_lines, split_lines
from service.payments.results import LineProblem, LineReceipt, PaymentReceipt, line_results, undelivered_problem
from service.payments.samples import sample_payment
from service.producer.outcomes import Outcome, Receipt
from service.producer.records import Delivery

CHUNK_LINES = 500

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


def post_payment(topic: str) -> Handler:
    """Make the handler of POST for a topic."""

    async def post(request: web.Request) -> web.StreamResponse:
        intake = request.app[INTAKE]
        codec = intake.codecs.codec(topic)
        body_type = _body_type(request, topic, codec)
        if body_type == NDJSON:
            return await _post_batch(request, intake, topic)
        _limit_rate(request, intake, 1)
        body = await read_body(request, intake.settings.max_payment_bytes, intake.settings.body_timeout)
        payment = _decode(body, body_type, codec)
        headers, content = _receipt(payment.id, topic, await _produce(request, intake, topic, payment))
        return created_response(request, content, headers)

    return post


def get_sample(topic: str) -> Handler:
    """Make the handler of GET for a topic: a payment made up here, sent like a posted one."""

    async def get(request: web.Request) -> web.StreamResponse:
        intake = request.app[INTAKE]
        if not intake.settings.samples:
            raise Problem(404, "samples-off", "sample payments are turned off here (setting SAMPLES)")
        _limit_rate(request, intake, 1)
        payment = sample_payment()
        at = await _produce(request, intake, topic, payment)
        content = PaymentReceipt(payment.id, topic, at.partition, at.offset, at.timestamp, payment=payment)
        return web.Response(body=_encode(content), headers=_JSON_HEADERS)

    return get


def take_payment(topic: str) -> Take:
    """Make what takes POST for a topic as an exchange: one payment, in a body that is there."""

    def take(exchange: Exchange) -> bool:
        request = exchange.request
        intake = request.app[INTAKE]
        codec = intake.codecs.codec(topic)
        body_type = _body_type(request, topic, codec)
        if body_type == NDJSON or (request.content_length or 0) > intake.settings.max_payment_bytes:
            return False
        _limit_rate(request, intake, 1)
        body = exchange.body()
        try:
            payment = _decode(body, body_type, codec)
            respond = partial(_respond, exchange, intake, topic, payment.id)
            delivery = Delivery(1, record_headers(request), intake.settings.deadline, respond)
            intake.submit(delivery, topic, [0], [payment])
        except Exception as error:  # noqa: BLE001 - the body is read, so its error is answered here
            exchange.fail(error)
        return True

    return take


def _respond(exchange: Exchange, intake: PaymentIntake, topic: str, payment_id: str, delivery: Delivery) -> None:
    """Answer an exchange whose payment has an outcome."""
    outcome = _outcome(intake, topic, delivery)
    if isinstance(outcome, Receipt):
        exchange.respond(201, *_receipt(payment_id, topic, outcome))
    else:
        exchange.fail(undelivered_problem(outcome))


def _decode(body: bytes, body_type: str, codec: PaymentCodec) -> Payment:
    """Read a body; raises PaymentError."""
    return decode_posted(body) if body_type == JSON else codec.decode_body(body)


def _outcome(intake: PaymentIntake, topic: str, delivery: Delivery) -> Outcome:
    """Count the outcome of a settled delivery's one payment, and return it."""
    outcome = delivery.outcomes[0]
    assert outcome is not None, "a settled delivery has an outcome"
    intake.metrics.count_payments(topic, outcome.kind)
    return outcome


def _receipt(payment_id: str, topic: str, receipt: Receipt) -> tuple[Headers, bytes]:
    """Make the headers and body of the response to a payment that is on Kafka."""
    content = PaymentReceipt(payment_id, topic, receipt.partition, receipt.offset, receipt.timestamp, receipt.replayed)
    return _REPLAYED_HEADERS if receipt.replayed else _JSON_HEADERS, _encode(content)


_JSON_HEADERS = (("Content-Type", JSON),)
_REPLAYED_HEADERS = (*_JSON_HEADERS, ("Idempotency-Replayed", "true"))


def _limit_rate(request: web.Request, intake: PaymentIntake, payments: int) -> None:
    """Raises Problem, 429, for more payments than their sender may send."""
    if intake.limiter is not None:
        identity = request.get(IDENTITY)
        intake.limiter.take(identity.name if identity else request.remote or "", payments)


async def _produce(request: web.Request, intake: PaymentIntake, topic: str, payment: Payment) -> Receipt:
    """Put a payment onto Kafka; raises Problem if it cannot be said that it is there."""
    delivery = Delivery(1, record_headers(request), intake.settings.deadline)
    intake.submit(delivery, topic, [0], [payment])
    await delivery.settled
    outcome = _outcome(intake, topic, delivery)
    if isinstance(outcome, Receipt):
        return outcome
    raise undelivered_problem(outcome)


async def _post_batch(request: web.Request, intake: PaymentIntake, topic: str) -> web.Response:
    """Handle NDJSON: every line by itself, answered in order, each with its own status."""
    settings = intake.settings
    budget = request.app[BODY_BUDGET]
    # A Content-Length is that of the compressed body, if it is compressed: its size afterwards is not announced.
    announced = None if "Content-Encoding" in request.headers else request.content_length
    reserved = min(announced or settings.max_ndjson_bytes, settings.max_ndjson_bytes)
    budget.take(reserved)
    try:
        body = await read_body(request, settings.max_ndjson_bytes, settings.body_timeout)
        numbers, lines = split_lines(body, settings.max_ndjson_lines)
        del body
        results = await _produce_lines(request, intake, topic, numbers, lines)
    finally:
        budget.give_back(reserved)
    return web.Response(body=_encode_lines(results), headers={"Content-Type": NDJSON})


async def _produce_lines(
    request: web.Request, intake: PaymentIntake, topic: str, numbers: Sequence[int], lines: list[bytes]
) -> list[LineReceipt | LineProblem]:
    """Produce the payments of lines, which are taken out of the list as they are read."""
    settings = intake.settings
    _limit_rate(request, intake, len(lines))
    delivery = Delivery(len(lines), record_headers(request), settings.deadline)
    # Of the lines, no more than the ids stays until there are receipts: the next ones take their memory, as it is in
    # the processor's cache.
    ids: list[str | Problem] = []
    while lines:
        payments, problems = read_lines(lines[:CHUNK_LINES], settings.max_payment_bytes)
        del lines[:CHUNK_LINES]
        ids += _submit_chunk(intake, delivery, topic, len(ids), payments, problems)
        del payments
        await asyncio.sleep(0)
    await delivery.settled
    for kind, number in delivery.tally().items():
        intake.metrics.count_payments(topic, kind, number)
    return line_results(topic, numbers, ids, delivery.outcomes)


def _submit_chunk(
    intake: PaymentIntake,
    delivery: Delivery,
    topic: str,
    start: int,
    payments: Sequence[Payment],
    problems: Mapping[int, Problem],
) -> list[str | Problem]:
    """Hand in the payments of lines that begin at this position of the delivery, and reject the others.

    Returns the payments' ids, with the problems where they stand among them.
    """
    positions: Sequence[int] = range(start, start + len(payments) + len(problems))
    ids: list[str | Problem] = [payment.id for payment in payments]
    for index, problem in problems.items():
        ids.insert(index, problem)
        delivery.reject(start + index)
    if problems:
        positions = [position for position in positions if position - start not in problems]
    if payments:
        intake.submit(delivery, topic, positions, payments)
    return ids


def _body_type(request: web.Request, topic: str, codec: PaymentCodec) -> str:
    """Read the body's media type; raises Problem 415 for one that the topic does not take."""
    body_type, charset = media_type(request.headers.get("Content-Type", ""))
    if charset in ("utf-8", "utf8", "us-ascii") and (body_type in (JSON, NDJSON) or body_type in codec.media_types):
        return body_type
    accepted = ", ".join([JSON, NDJSON, *sorted(codec.media_types)])
    raise Problem(
        415,
        "unsupported-media-type",
        f"/{topic} takes {accepted}, in UTF-8; name one of them in Content-Type",
        # RFC 9110, section 15.5.16, and W3C Linked Data Platform, section 7.1: the types that are accepted.
        headers={"Accept": accepted, "Accept-Post": accepted},
    )

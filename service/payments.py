"""The payment addresses: one payment or a batch in, receipts out once Kafka has acknowledged them."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from schemas.codecs import PaymentCodec, decode_posted
from schemas.errors import PaymentError
from schemas.payment import Payment
from service.bodies import JSON, NDJSON, media_type, read_body
from service.deliveries import Acknowledged, Client, Delivery, NotDelivered, Outcome, Replayed, outcome_kind
from service.keys import BODY_BUDGET, FORMATS, IDENTITY, METRICS, ONCE, PRODUCER, RATES, SETTINGS
from service.problems import Problem, ProblemBody, invalid_payment, too_large
from service.request_ids import record_headers
from service.samples import sample_payment

LINES_AT_A_TIME = 500

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Receipt(msgspec.Struct, omit_defaults=True):
    """Where an acknowledged payment stands on Kafka; `timestamp` in ms since the epoch."""

    id: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    replayed: bool = False
    payment: Payment | None = None


class LineReceipt(msgspec.Struct, omit_defaults=True):
    """The receipt of one line of a batch; lines are counted from 1."""

    line: int
    status: int
    id: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    replayed: bool = False


class LineProblem(msgspec.Struct, omit_defaults=True):
    """What was wrong with one line of a batch; the members of a problem, and the line."""

    line: int
    status: int
    type: str
    title: str
    detail: str
    id: str | None = None
    field: str | None = None


_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


def post_payment(topic: str) -> Handler:
    """The view of POST for a topic."""

    async def post(request: web.Request) -> web.Response:
        settings = request.app[SETTINGS].service
        codec = request.app[FORMATS].codec(topic)
        kind = _body_kind(request, topic, codec)
        if kind == NDJSON:
            return await _post_batch(request, topic, codec)
        _count(request, 1)
        body = await read_body(request, settings.max_payment_bytes, settings.body_timeout)
        payment = decode_posted(body) if kind == JSON else codec.decode_body(body)
        receipt = await _produce(request, topic, codec, payment)
        headers = _REPLAYED_HEADERS if receipt.replayed else _JSON_HEADERS
        return web.Response(body=_encode(receipt), status=201, headers=headers)

    return post


def get_sample(topic: str) -> Handler:
    """The view of GET for a topic: a payment made up here, sent like a posted one."""

    async def get(request: web.Request) -> web.Response:
        if not request.app[SETTINGS].service.samples:
            raise Problem(404, "samples-off", "sample payments are turned off here (setting SAMPLES)")
        _count(request, 1)
        payment = sample_payment()
        receipt = await _produce(request, topic, request.app[FORMATS].codec(topic), payment)
        receipt.payment = payment
        return web.Response(body=_encode(receipt), headers=_JSON_HEADERS)

    return get


_JSON_HEADERS = {"Content-Type": JSON}
_REPLAYED_HEADERS = {**_JSON_HEADERS, "Idempotency-Replayed": "true"}


def _count(request: web.Request, payments: int) -> None:
    """Raises Problem, 429, for more payments than whoever sends them may send."""
    rates = request.app.get(RATES)
    if rates is not None:
        identity = request.get(IDENTITY)
        rates.take(identity.name if identity else request.remote or "", payments)


def _submit(app: web.Application, client: Client, index: int, topic: str, payment: Payment, value: bytes) -> None:
    """Hand a payment in: to be sent once, or, where that is turned off, as often as it comes."""
    if ONCE in app:
        app[ONCE].submit(client, index, topic, payment, value)
    else:
        app[PRODUCER].submit(client, index, topic, payment.payor_account_no, value)


async def _produce(request: web.Request, topic: str, codec: PaymentCodec, payment: Payment) -> Receipt:
    """One payment onto Kafka; raises Problem if it cannot be said that it is there."""
    app, delivery = request.app, Delivery(1, record_headers(request))
    _submit(app, delivery, 0, topic, payment, codec.encode(payment))
    await delivery.settled
    outcome = delivery.outcomes[0]
    if isinstance(outcome, Acknowledged):
        app[METRICS].payments_answered(topic, outcome_kind(outcome))
        return Receipt(payment.id, topic, *outcome, isinstance(outcome, Replayed))
    assert outcome is not None, "a settled delivery has an outcome"
    app[METRICS].payments_answered(topic, outcome.kind)
    raise _not_delivered(outcome)


async def _post_batch(request: web.Request, topic: str, codec: PaymentCodec) -> web.Response:
    """NDJSON: every line by itself, answered in order, each with its own status."""
    settings = request.app[SETTINGS].service
    budget = request.app[BODY_BUDGET]
    reserved = min(request.content_length or settings.max_ndjson_bytes, settings.max_ndjson_bytes)
    budget.take(reserved)
    try:
        body = await read_body(request, settings.max_ndjson_bytes, settings.body_timeout)
        results = await _produce_lines(request, topic, codec, body)
    finally:
        budget.give_back(reserved)
    return web.Response(body=_encode_lines(results), headers={"Content-Type": NDJSON})


async def _produce_lines(
    request: web.Request, topic: str, codec: PaymentCodec, body: bytes
) -> list[LineReceipt | LineProblem]:
    app = request.app
    settings = app[SETTINGS].service
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line and not line.isspace()]
    if not lines:
        raise Problem(400, "empty-batch", "there is no payment in the body")
    if len(lines) > settings.max_ndjson_lines:
        detail = f"{len(lines)} lines, more than {settings.max_ndjson_lines}; nothing was accepted"
        raise Problem(413, "too-many-lines", detail)
    _count(request, len(lines))
    delivery = Delivery(len(lines), record_headers(request))
    ids: list[str | None] = [None] * len(lines)
    problems: dict[int, Problem] = {}
    for index, (_, line) in enumerate(lines):
        try:
            if len(line) > settings.max_payment_bytes:
                raise too_large(settings.max_payment_bytes, "line")
            payment = decode_posted(line)
        except (PaymentError, Problem) as error:
            problems[index] = invalid_payment(error) if isinstance(error, PaymentError) else error
            delivery.skip(index)
        else:
            ids[index] = payment.id
            _submit(app, delivery, index, topic, payment, codec.encode(payment))
        if index % LINES_AT_A_TIME == LINES_AT_A_TIME - 1:
            await asyncio.sleep(0)
    await delivery.settled
    for kind, number in delivery.tally().items():
        app[METRICS].payments_answered(topic, kind, number)
    return [
        _line_problem(number, None, problems[index].body)
        if index in problems
        else _line_result(number, topic, ids[index], delivery.outcomes[index])
        for index, (number, _) in enumerate(lines)
    ]


def _line_result(number: int, topic: str, payment_id: str | None, outcome: Outcome | None) -> LineReceipt | LineProblem:
    if isinstance(outcome, Acknowledged):
        return LineReceipt(number, 201, payment_id or "", topic, *outcome, isinstance(outcome, Replayed))
    assert isinstance(outcome, NotDelivered)
    return _line_problem(number, payment_id, _not_delivered(outcome).body)


def _line_problem(number: int, payment_id: str | None, body: ProblemBody) -> LineProblem:
    return LineProblem(number, body.status, body.type, body.title, body.detail, payment_id, body.field)


def _not_delivered(error: NotDelivered) -> Problem:
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else {}
    return Problem(error.status, error.kind, str(error), title=error.title, field=error.field, headers=headers)


def _body_kind(request: web.Request, topic: str, codec: PaymentCodec) -> str:
    """The body's media type; raises Problem 415 for one that the topic does not take."""
    kind, charset = media_type(request.headers.get("Content-Type", ""))
    if charset in ("utf-8", "utf8", "us-ascii") and (kind in (JSON, NDJSON) or kind in codec.media_types):
        return kind
    accepted = ", ".join([JSON, NDJSON, *sorted(codec.media_types)])
    raise Problem(
        415,
        "unsupported-media-type",
        f"/{topic} takes {accepted}, in UTF-8; name one of them in Content-Type",
        # RFC 9110, section 15.5.16, and W3C Linked Data Platform, section 7.1: what would have been accepted.
        headers={"Accept": accepted, "Accept-Post": accepted},
    )

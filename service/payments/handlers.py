"""The payment addresses: one payment or a batch in, receipts out once Kafka has acknowledged them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from aiohttp import web

from schemas.codecs import PaymentCodec, decode_posted
from schemas.errors import PaymentError
from schemas.payment import Payment
from service.access.authentication import IDENTITY
from service.http.bodies import BODY_BUDGET, JSON, NDJSON, media_type, read_body
from service.http.problems import Problem, invalid_payment, too_large
from service.http.request_ids import record_headers
from service.idempotency.deduplicator import ONCE
from service.idempotency.fingerprints import fingerprint, key
from service.metrics import METRICS
from service.payments.codecs import FORMATS
from service.payments.rate_limit import RATES
from service.payments.samples import sample_payment
from service.producer.outcomes import Acknowledged, Delivery, NotDelivered, Outcome, outcome_kind
from service.producer.payment_producer import PRODUCER
from service.producer.pending_records import Outgoing
from service.settings import SETTINGS

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
            return await _post_batch(request, topic)
        _count(request, 1)
        body = await read_body(request, settings.max_payment_bytes, settings.body_timeout)
        payment = decode_posted(body) if kind == JSON else codec.decode_body(body)
        receipt = await _produce(request, topic, payment)
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
        receipt = await _produce(request, topic, payment)
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


def _submit(app: web.Application, delivery: Delivery, topic: str, payments: Sequence[tuple[int, Payment]]) -> None:
    """Hand payments in, by index: to be sent once, or, where that is turned off, as often as they come."""
    encode = app[FORMATS].codec(topic).encode
    if ONCE in app:
        app[ONCE].submit(delivery, topic, [_once(index, topic, each, encode(each)) for index, each in payments])
    else:
        outgoing = [Outgoing(index, b"%d" % each.payor_account_no, encode(each)) for index, each in payments]
        app[PRODUCER].submit(delivery, topic, outgoing)


def _once(index: int, topic: str, payment: Payment, value: bytes) -> Outgoing:
    payor, content = b"%d" % payment.payor_account_no, fingerprint(topic, payment)
    return Outgoing(index, payor, value, key(payment.id), content, time.time())


async def _produce(request: web.Request, topic: str, payment: Payment) -> Receipt:
    """One payment onto Kafka; raises Problem if it cannot be said that it is there."""
    app, delivery = request.app, Delivery(1, record_headers(request))
    _submit(app, delivery, topic, [(0, payment)])
    await delivery.settled
    outcome = delivery.outcomes[0]
    if isinstance(outcome, Acknowledged):
        app[METRICS].payments_answered(topic, outcome_kind(outcome))
        return Receipt(payment.id, topic, outcome.partition, outcome.offset, outcome.timestamp, outcome.replayed)
    assert outcome is not None, "a settled delivery has an outcome"
    app[METRICS].payments_answered(topic, outcome.kind)
    raise _not_delivered(outcome)


async def _post_batch(request: web.Request, topic: str) -> web.Response:
    """NDJSON: every line by itself, answered in order, each with its own status."""
    settings = request.app[SETTINGS].service
    budget = request.app[BODY_BUDGET]
    # A Content-Length is that of the compressed body, if it is compressed: what will come of it, nobody says.
    announced = None if "Content-Encoding" in request.headers else request.content_length
    reserved = min(announced or settings.max_ndjson_bytes, settings.max_ndjson_bytes)
    budget.take(reserved)
    try:
        body = await read_body(request, settings.max_ndjson_bytes, settings.body_timeout)
        results = await _produce_lines(request, topic, body)
    finally:
        budget.give_back(reserved)
    return web.Response(body=_encode_lines(results), headers={"Content-Type": NDJSON})


async def _produce_lines(request: web.Request, topic: str, body: bytes) -> list[LineReceipt | LineProblem]:
    app = request.app
    settings = app[SETTINGS].service
    # Counted before they are made: of the shortest lines a body has millions. Blank ones count, as they are numbered.
    number_of_lines = body.count(b"\n") + (not body.endswith(b"\n"))
    if number_of_lines > settings.max_ndjson_lines:
        detail = f"{number_of_lines} lines, more than {settings.max_ndjson_lines}; nothing was accepted"
        raise Problem(413, "too-many-lines", detail)
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line and not line.isspace()]
    if not lines:
        raise Problem(400, "empty-batch", "there is no payment in the body")
    _count(request, len(lines))
    delivery = Delivery(len(lines), record_headers(request))
    read = []
    for at in range(0, len(lines), LINES_AT_A_TIME):
        some = [_read_line(line, settings.max_payment_bytes) for _, line in lines[at : at + LINES_AT_A_TIME]]
        payments = [(index, each) for index, each in enumerate(some, at) if isinstance(each, Payment)]
        _submit(app, delivery, topic, payments)
        for index, each in enumerate(some, at):
            if isinstance(each, Problem):
                delivery.skip(index)
        read += some
        await asyncio.sleep(0)
    await delivery.settled
    for kind, number in delivery.tally().items():
        app[METRICS].payments_answered(topic, kind, number)
    return [
        _line_result(number, topic, each, outcome)
        for (number, _), each, outcome in zip(lines, read, delivery.outcomes, strict=True)
    ]


def _read_line(line: bytes, most_bytes: int) -> Payment | Problem:
    if len(line) > most_bytes:
        return too_large(most_bytes, "line")
    try:
        return decode_posted(line)
    except PaymentError as error:
        return invalid_payment(error)


def _line_result(
    number: int, topic: str, read: Payment | Problem, outcome: Outcome | None
) -> LineReceipt | LineProblem:
    if isinstance(read, Problem):
        return _line_problem(number, None, read)
    if isinstance(outcome, Acknowledged):
        where = outcome.partition, outcome.offset, outcome.timestamp
        return LineReceipt(number, 201, read.id, topic, *where, outcome.replayed)
    assert isinstance(outcome, NotDelivered)
    return _line_problem(number, read.id, _not_delivered(outcome))


def _line_problem(number: int, payment_id: str | None, problem: Problem) -> LineProblem:
    members = problem.members
    return LineProblem(
        number, problem.status, members["type"], members["title"], members["detail"], payment_id, members.get("field")
    )


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

"""Payments over HTTP, down to the bytes on Kafka."""

import asyncio
import gzip
import io
import json
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest

from schemas import payment_pb2
from schemas.codecs import AVRO_SCHEMA
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_AVRO, PAYMENT_JSON, PAYMENT_PROTOBUF, RAW_TOPICS
from schemas.payment_reader import PaymentReader
from schemas.registry import Registry, RegistrySettings
from service.app import make_app
from service.payments.samples import BANKS
from tests.integration.processes import until
from tests.integration.serving import (
    Client,
    Json,
    Server,
    end_offsets,
    payment,
    post,
    post_lines,
    ready,
    records,
    settings,
)

Start = Callable[..., Awaitable[Client]]

MIB = 1024 * 1024


@pytest.fixture
def start(kafka: KafkaSettings, registry: RegistrySettings, aiohttp_client: Any, tmp_path: Path) -> Start:
    """Start a service with some settings changed."""

    async def start_service(**changes: Any) -> Client:
        app = make_app(settings(kafka, registry, tmp_path / "view.sqlite", **changes))
        client: Client = await aiohttp_client(Server(app))
        await ready(client)
        return client

    return start_service


@pytest.fixture
async def client(start: Start) -> Client:
    return await start()


def avro(content: Json) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, AVRO_SCHEMA, content)
    return out.getvalue()


def protobuf(content: Json) -> bytes:
    return payment_pb2.Payment(**content).SerializeToString()


ENCODERS = {
    "application/json": lambda content: json.dumps(content).encode(),
    "application/json; charset=utf-8": lambda content: json.dumps(content).encode(),
    "avro/binary": avro,
    "application/x-protobuf": protobuf,
}


@pytest.mark.parametrize(
    ("topic", "content_type"),
    [
        (PAYMENT_JSON, "application/json"),
        (PAYMENT_JSON, "application/json; charset=utf-8"),
        (PAYMENT_AVRO, "application/json"),
        (PAYMENT_AVRO, "avro/binary"),
        (PAYMENT_PROTOBUF, "application/json"),
        (PAYMENT_PROTOBUF, "application/x-protobuf"),
    ],
)
async def test_a_receipt_says_where_the_payment_is(
    kafka: KafkaSettings, registry: RegistrySettings, client: Client, topic: str, content_type: str
) -> None:
    since = await end_offsets(kafka, topic)
    sent = payment(payee_bank="Банк “Ü”", payor_account_no=2_147_483_647, payee_account_no=0)
    status, receipt = await post(client, f"/{topic}", ENCODERS[content_type](sent), content_type)
    assert status == 201
    [record] = await records(kafka, topic, since)
    assert receipt == {
        "id": sent["id"],
        "topic": topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
    }
    assert record.key == b"2147483647"
    reader = PaymentReader(Registry(registry))
    await reader.learn([record])
    assert msgspec.structs.asdict(reader.read(record)) == sent


@pytest.mark.parametrize("topic", RAW_TOPICS)
async def test_a_sample_is_produced_like_a_posted_payment(kafka: KafkaSettings, client: Client, topic: str) -> None:
    since = await end_offsets(kafka, topic)
    async with client.get(f"/{topic}") as response:
        assert response.status == 200
        answer = await response.json()
    [record] = await records(kafka, topic, since)
    assert (answer["partition"], answer["offset"]) == (record.partition, record.offset)
    assert answer["payment"]["payee_bank"] in BANKS
    assert answer["payment"]["id"] == answer["id"]


async def test_samples_can_be_turned_off(kafka: KafkaSettings, start: Start) -> None:
    client = await start(samples=False)
    since = await end_offsets(kafka, PAYMENT_JSON)
    async with client.get("/payment_json") as response:
        assert response.status == 404
        assert (await response.json(content_type=None))["type"].endswith(":samples-off")
    assert await end_offsets(kafka, PAYMENT_JSON) == since


def without(field: str) -> bytes:
    content = payment()
    del content[field]
    return json.dumps(content).encode()


def changed(**changes: Any) -> bytes:
    return json.dumps(payment(**changes)).encode()


def raw(field: str, text: str) -> bytes:
    """JSON in which a field's value is this text, whatever that is."""
    return json.dumps(payment(**{field: "@"})).replace('"@"', text).encode()


BAD_JSON = [
    (b"", 400, None),
    (b"hello", 400, None),
    (b"[]", 422, None),
    (b"null", 422, None),
    (b"{}", 422, "id"),
    (b"\xff\xfe", 400, None),
    (changed()[:-1], 400, None),
    (changed() + b"x", 400, None),
    (raw("payee_bank", '"\\ud800"'), 400, None),
    *[(without(field), 422, field) for field in payment()],
    (changed(colour="red"), 422, "colour"),
    (changed(payor_account_no="1001"), 422, "payor_account_no"),
    (changed(payor_account_no=1.5), 422, "payor_account_no"),
    (changed(payor_account_no=None), 422, "payor_account_no"),
    (changed(payor_account_no=-1), 422, "payor_account_no"),
    (changed(payor_account_no=2**31), 422, "payor_account_no"),
    (changed(payee_account_no=2**63), 422, "payee_account_no"),
    (changed(payee_account_no=10**30), 422, "payee_account_no"),
    (raw("payment_amount", "NaN"), 400, "payment_amount"),
    (raw("payment_amount", "Infinity"), 400, "payment_amount"),
    (raw("payment_amount", "1e999"), 422, "payment_amount"),
    (changed(payment_amount=0), 422, "payment_amount"),
    (changed(payment_amount=-4000.01), 422, "payment_amount"),
    (changed(payment_amount=4000.001), 422, "payment_amount"),
    (changed(payment_amount=1e13), 422, "payment_amount"),
    (changed(payment_amount="4000.01"), 422, "payment_amount"),
    (changed(payment_amount=True), 422, "payment_amount"),
    (changed(payee_bank=""), 422, "payee_bank"),
    (changed(payee_bank="  "), 422, "payee_bank"),
    (changed(payee_bank="x" * 141), 422, "payee_bank"),
    (changed(payment_method=""), 422, "payment_method"),
    (changed(payment_method="x" * 36), 422, "payment_method"),
    (changed(id=""), 422, "id"),
    (changed(id="not-a-uuid"), 422, "id"),
]


@pytest.mark.parametrize("topic", RAW_TOPICS)
async def test_bad_json_is_refused_by_name_and_nothing_is_produced(
    kafka: KafkaSettings, client: Client, topic: str
) -> None:
    since = await end_offsets(kafka, topic)
    for body, status, field in BAD_JSON:
        answered, problem = await post(client, f"/{topic}", body)
        assert (answered, problem.get("field")) == (status, field), (body, problem)
        assert problem["status"] == status
        if field:
            assert problem["errors"][0]["pointer"] == f"#/{field}"
    assert await end_offsets(kafka, topic) == since


async def test_bad_binaries_are_refused_and_nothing_is_produced(kafka: KafkaSettings, client: Client) -> None:
    since = [await end_offsets(kafka, topic) for topic in RAW_TOPICS]
    cases = [
        (PAYMENT_AVRO, "avro/binary", avro(payment()), avro),
        (PAYMENT_PROTOBUF, "application/x-protobuf", protobuf(payment()), protobuf),
    ]
    for topic, content_type, good, encode in cases:
        for body in (b"", good[:-1], good[: len(good) // 2], b"\xff" * 40):
            status, problem = await post(client, f"/{topic}", body, content_type)
            assert 400 <= status < 500, (topic, body, problem)
        status, problem = await post(client, f"/{topic}", encode(payment(payment_amount=float("nan"))), content_type)
        assert (status, problem["field"]) == (422, "payment_amount")
        status, problem = await post(client, f"/{topic}", encode(payment(payee_bank="")), content_type)
        assert (status, problem["field"]) == (422, "payee_bank")
    assert [await end_offsets(kafka, topic) for topic in RAW_TOPICS] == since


@pytest.mark.parametrize(
    ("topic", "content_type"),
    [
        (PAYMENT_JSON, "text/plain"),
        (PAYMENT_JSON, ""),
        (PAYMENT_JSON, "avro/binary"),
        (PAYMENT_JSON, "application/json; charset=utf-16"),
        (PAYMENT_AVRO, "application/x-protobuf"),
        (PAYMENT_PROTOBUF, "avro/binary"),
        (PAYMENT_PROTOBUF, "nonsense/;;=="),
        (PAYMENT_JSON, "application/json;charset*"),
    ],
)
async def test_another_content_type_is_refused_with_those_that_are_taken(
    client: Client, topic: str, content_type: str
) -> None:
    async with client.post(f"/{topic}", data=changed(), headers={"Content-Type": content_type}) as response:
        assert response.status == 415
        assert response.content_type == "application/problem+json"
        assert "application/json" in response.headers["Accept-Post"]
        assert response.headers["Accept"] == response.headers["Accept-Post"]


@pytest.mark.parametrize("announced", [True, False], ids=["with a length", "in chunks"])
async def test_a_body_of_20_mb_is_refused(kafka: KafkaSettings, client: Client, *, announced: bool) -> None:
    since = await end_offsets(kafka, PAYMENT_JSON)

    async def chunks() -> Any:
        for _ in range(20):
            yield b" " * MIB

    for content_type in ("application/json", "application/x-ndjson"):
        data = io.BytesIO(b" " * 20 * MIB) if announced else chunks()
        async with client.post("/payment_json", data=data, headers={"Content-Type": content_type}) as response:
            assert response.status == 413
            assert response.content_type == "application/problem+json"
    assert await end_offsets(kafka, PAYMENT_JSON) == since


async def test_a_body_that_does_not_come_is_given_up(start: Start) -> None:
    client = await start(body_timeout=1.0)
    never = asyncio.Event()

    async def slow() -> Any:
        yield b"{"
        await never.wait()

    async with client.post("/payment_json", data=slow(), headers={"Content-Type": "application/json"}) as response:
        assert response.status == 408
    never.set()


@pytest.mark.parametrize("topic", RAW_TOPICS)
async def test_a_batch_is_answered_line_by_line(kafka: KafkaSettings, client: Client, topic: str) -> None:
    since = await end_offsets(kafka, topic)
    good, other = payment(), payment(payor_account_no=7)
    lines = [json.dumps(good), "", "{bad", changed(payment_amount=0).decode(), "  \r", json.dumps(other) + "\r"]
    results = await post_lines(client, f"/{topic}", lines)
    assert [(result["line"], result["status"], result.get("field")) for result in results] == [
        (1, 201, None),
        (3, 400, None),
        (4, 422, "payment_amount"),
        (6, 201, None),
    ]
    keys_by_place = {(record.partition, record.offset): record.key for record in await records(kafka, topic, since)}
    assert keys_by_place == {
        (results[0]["partition"], results[0]["offset"]): b"1001",
        (results[3]["partition"], results[3]["offset"]): b"7",
    }
    assert [results[0]["id"], results[3]["id"]] == [good["id"], other["id"]]


async def test_a_large_batch_arrives_whole_and_in_order(kafka: KafkaSettings, client: Client) -> None:
    since = await end_offsets(kafka, PAYMENT_JSON)
    sent = [payment(payor_account_no=number % 50) for number in range(5000)]
    results = await post_lines(client, "/payment_json", [json.dumps(content) for content in sent])
    assert {result["status"] for result in results} == {201}
    arrived = await records(kafka, PAYMENT_JSON, since)
    assert len(arrived) == len(sent)
    by_place = {(record.partition, record.offset): json.loads(record.value[5:]) for record in arrived}
    assert [by_place[result["partition"], result["offset"]] for result in results] == sent
    for payor in range(50):
        offsets = [
            result["offset"]
            for result, content in zip(results, sent, strict=True)
            if content["payor_account_no"] == payor
        ]
        assert offsets == sorted(offsets)


async def test_a_batch_has_limits(kafka: KafkaSettings, start: Start) -> None:
    client = await start(max_ndjson_lines=3, max_payment_bytes=400)
    since = await end_offsets(kafka, PAYMENT_JSON)
    status, problem = await post(client, "/payment_json", b"\n".join([changed()] * 4), "application/x-ndjson")
    assert (status, problem["type"].rpartition(":")[2]) == (413, "too-many-lines")
    status, _ = await post(client, "/payment_json", b"\n\n", "application/x-ndjson")
    assert status == 400
    assert await end_offsets(kafka, PAYMENT_JSON) == since
    results = await post_lines(client, "/payment_json", [changed().decode(), " " * 401 + changed().decode()])
    assert [result["status"] for result in results] == [201, 413]


async def test_a_batch_of_too_many_lines_takes_little_memory_to_refuse(start: Start) -> None:
    client = await start(max_ndjson_lines=3)
    tracemalloc.start()
    try:
        status, problem = await post(client, "/payment_json", b"1\n" * 500_000, "application/x-ndjson")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (status, problem["detail"]) == (413, "500000 lines, more than 3; nothing was accepted")
    assert peak < 20 * MIB


async def test_a_compressed_batch_takes_room_for_all_that_may_come_of_it(start: Start) -> None:
    client = await start(max_ndjson_bytes=1000, max_in_flight_bytes=1500)
    never = asyncio.Event()

    async def slow() -> Any:
        yield gzip.compress(changed())[:10]
        await never.wait()

    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip", "Content-Length": "50"}
    sending = asyncio.create_task(client.post("/payment_json", data=slow(), headers=headers).__aenter__())

    async def is_full() -> bool:
        status, problem = await post(client, "/payment_json", b" " * 600, "application/x-ndjson")
        return (status, problem["type"].rpartition(":")[2]) == (503, "too-many-in-flight")

    await until(is_full)
    sending.cancel()


async def test_more_than_the_rate_is_429_and_a_batch_as_a_whole(kafka: KafkaSettings, start: Start) -> None:
    client = await start(rate_limit=3)
    since = await end_offsets(kafka, PAYMENT_JSON)
    status, problem = await post(client, "/payment_json", b"\n".join([changed()] * 4), "application/x-ndjson")
    assert (status, problem["type"].rpartition(":")[2]) == (429, "rate-limited")
    assert "send 3 at most" in problem["detail"]
    assert await end_offsets(kafka, PAYMENT_JSON) == since
    statuses = []
    for _ in range(20):
        async with client.post("/payment_json", json=payment()) as response:
            statuses.append(response.status)
            if response.status == 429:
                assert response.headers["Retry-After"] == "1"
    assert statuses[:3] == [201] * 3
    assert 429 in statuses
    assert len(await records(kafka, PAYMENT_JSON, since)) == statuses.count(201)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing/here", 404),
        ("DELETE", "/payment_json", 405),
        ("HEAD", "/payment_json", 405),
        ("POST", "/review-queue", 405),
        ("GET", "/docs/../settings.py", 404),
        ("GET", "/docs/settings.py", 404),
    ],
)
async def test_every_error_is_a_problem(client: Client, method: str, path: str, status: int) -> None:
    async with client.request(method, path) as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"
        if status == 405:
            assert response.headers["Allow"]


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Content-Encoding", "gzip", 400),
        ("Content-Encoding", "br", 415),
        ("Content-Encoding", "aes128gcm", 415),
        ("Expect", "a-reply", 417),
    ],
)
async def test_a_body_that_is_not_what_its_headers_say_is_refused_by_a_problem(
    client: Client, header: str, value: str, status: int
) -> None:
    headers = {"Content-Type": "application/json", header: value}
    async with client.post("/payment_json", data=changed(), headers=headers) as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"


async def test_half_a_compressed_batch_is_refused_as_a_whole(kafka: KafkaSettings, client: Client) -> None:
    since = await end_offsets(kafka, PAYMENT_JSON)
    body = gzip.compress(b"\n".join(changed() for _ in range(100)))
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    async with client.post("/payment_json", data=body[: len(body) // 2], headers=headers) as response:
        assert response.status == 400
    assert await end_offsets(kafka, PAYMENT_JSON) == since
    async with client.post("/payment_json", data=body, headers=headers) as response:
        assert response.status == 200
    assert len(await records(kafka, PAYMENT_JSON, since)) == 100


async def test_the_description_and_its_page_are_served(client: Client) -> None:
    async with client.get("/openapi.json") as response:
        assert (await response.json())["openapi"] == "3.1.0"
    async with client.get("/docs") as response:
        page = await response.text()
    assert "://" not in page
    for file in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"):
        assert f'"docs/{file}"' in page
        async with client.get(f"/docs/{file}") as response:
            assert response.status == 200


async def test_the_figures_count_payments_by_what_became_of_them(client: Client) -> None:
    await post(client, "/payment_json", payment())
    await post_lines(client, "/payment_json", [changed().decode(), "{bad"])
    async with client.get("/metrics") as response:
        text = await response.text()
    assert 'underten_payments_total{outcome="acknowledged",topic="payment_json"} 2.0' in text
    assert 'underten_payments_total{outcome="invalid",topic="payment_json"} 1.0' in text
    assert 'underten_http_request_seconds_count{method="POST",route="/payment_json",status="201"} 1.0' in text


async def test_the_request_id_is_on_the_payments_record_and_one_on_all_of_a_batch(
    client: Client, kafka: KafkaSettings
) -> None:
    since = await end_offsets(kafka, PAYMENT_AVRO)
    batch = changed() + b"\n" + changed()
    for content_type, body in (("application/json", changed()), ("application/x-ndjson", batch)):
        headers = {"Content-Type": content_type, "X-Request-ID": content_type}
        async with client.post("/payment_avro", data=body, headers=headers) as response:
            assert response.headers["X-Request-ID"] == content_type
    request_ids = sorted(dict(record.headers)["request_id"] for record in await records(kafka, PAYMENT_AVRO, since))
    assert request_ids == [b"application/json", b"application/x-ndjson", b"application/x-ndjson"]

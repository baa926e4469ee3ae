"""A payment that is sent again with its id: its first receipt, and one record."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from compose.addresses import free_port
from compose.child import Child
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_AVRO, PAYMENT_JSON
from schemas.payment import Payment
from schemas.registry import RegistrySettings
from service.app import make_app
from service.idempotency.deduplicator import DEDUPLICATOR
from service.idempotency.entries import FORMAT, Run
from service.idempotency.fingerprints import fingerprint, id_bytes
from service.idempotency.processes import Processes
from service.idempotency.receipt_log import ReceiptLog
from service.idempotency.receipts import Receipts
from service.producer.outcomes import Receipt
from tests.conftest import Servers
from tests.integration.processes import running, until, until_ready
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


@pytest.fixture
def start(kafka: KafkaSettings, registry: RegistrySettings, aiohttp_client: Any, tmp_path: Path) -> Start:
    async def start_service(**changes: Any) -> Client:
        client: Client = await aiohttp_client(
            Server(make_app(settings(kafka, registry, tmp_path / "view.sqlite", **changes)))
        )
        await ready(client)
        return client

    return start_service


async def post_with_headers(client: Client, path: str, body: Json) -> tuple[int, Json, str | None]:
    async with client.post(path, json=body) as response:
        return response.status, await response.json(content_type=None), response.headers.get("Idempotency-Replayed")


async def written_down(client: Client) -> None:
    async def is_written() -> bool:
        return not client.app[DEDUPLICATOR]._in_flight

    await until(is_written)


@pytest.mark.parametrize("waits", [True, False], ids=["written down", "at once"])
async def test_a_payment_sent_again_gets_its_first_receipt(kafka: KafkaSettings, start: Start, *, waits: bool) -> None:
    client = await start()
    since = await end_offsets(kafka, PAYMENT_JSON)
    sent = payment()
    status, first, header = await post_with_headers(client, "/payment_json", sent)
    assert (status, header, "replayed" in first) == (201, None, False)
    if waits:
        await written_down(client)
    other_case = {**sent, "id": sent["id"].upper()}
    status, again, header = await post_with_headers(client, "/payment_json", other_case)
    assert (status, header) == (201, "true")
    assert again == {**first, "id": other_case["id"], "replayed": True}
    [line] = await post_lines(client, "/payment_json", [json.dumps(sent)])
    assert line == {"line": 1, "status": 201, **first, "replayed": True}
    assert len(await records(kafka, PAYMENT_JSON, since)) == 1


@pytest.mark.parametrize("waits", [True, False], ids=["written down", "at once"])
async def test_the_same_id_with_something_else_is_refused(kafka: KafkaSettings, start: Start, *, waits: bool) -> None:
    client = await start()
    sent = payment()
    assert (await post(client, "/payment_json", sent))[0] == 201
    since = {topic: await end_offsets(kafka, topic) for topic in (PAYMENT_JSON, PAYMENT_AVRO)}
    if waits:
        await written_down(client)
    others: Json = {
        "payee_bank": "Other",
        "payee_account_no": 1,
        "payment_amount": 4000.02,
        "payment_method": "Wire",
        "payor_account_no": 1002,
    }
    for path, body in [
        *[("/payment_json", {**sent, name: value}) for name, value in others.items()],
        ("/payment_avro", sent),
    ]:
        status, problem = await post(client, path, body)
        assert (status, problem["type"].rpartition(":")[2], problem["field"]) == (409, "id-reused", "id")
        [line] = await post_lines(client, path, [json.dumps(body)])
        assert (line["status"], line["field"], line["id"]) == (409, "id", sent["id"])
    assert since == {topic: await end_offsets(kafka, topic) for topic in (PAYMENT_JSON, PAYMENT_AVRO)}


async def test_an_id_twice_in_a_batch_and_at_the_same_time_is_one_record(kafka: KafkaSettings, start: Start) -> None:
    client = await start()
    since = await end_offsets(kafka, PAYMENT_JSON)
    sent = payment()
    line = json.dumps(sent)
    other = json.dumps({**sent, "payment_amount": 1})
    results = await post_lines(client, "/payment_json", [line, line, other])
    assert [(result["status"], result.get("replayed", False)) for result in results] == [
        (201, False),
        (201, True),
        (409, False),
    ]
    sent = payment()
    answers = await asyncio.gather(*(post(client, "/payment_json", sent) for _ in range(8)))
    assert {status for status, _ in answers} == {201}
    assert sum("replayed" not in receipt for _, receipt in answers) == 1
    assert len({(receipt["partition"], receipt["offset"]) for _, receipt in answers}) == 1
    assert len(await records(kafka, PAYMENT_JSON, since)) == 2


async def test_receipts_outlive_the_service_and_its_files(kafka: KafkaSettings, start: Start, tmp_path: Path) -> None:
    first_service = await start()
    sent = [payment() for _ in range(20)]
    first = await post_lines(first_service, "/payment_json", [json.dumps(content) for content in sent])
    await first_service.close()
    since = await end_offsets(kafka, PAYMENT_JSON)
    expected = [{**receipt, "replayed": True} for receipt in first]
    second_service = await start()
    assert await post_lines(second_service, "/payment_json", [json.dumps(content) for content in sent]) == expected
    await second_service.close()
    for file in (tmp_path / "view.receipts").rglob("*.lmdb*"):
        file.write_bytes(b"nonsense" * 4096)
    third_service = await start()
    assert await post_lines(third_service, "/payment_json", [json.dumps(content) for content in sent]) == expected
    assert await end_offsets(kafka, PAYMENT_JSON) == since


async def test_a_process_that_shares_nothing_waits_for_the_end_of_the_one_before(
    kafka: KafkaSettings, registry: RegistrySettings, aiohttp_client: Any, tmp_path: Path
) -> None:
    own_settings = settings(kafka, registry, tmp_path / "view.sqlite")
    before = Processes(own_settings.service.receipts_folder / f"{FORMAT}-{own_settings.service.replay_seconds}")
    client: Client = await aiohttp_client(Server(make_app(own_settings)))

    async def waits() -> bool:
        async with client.get("/health/ready") as response:
            return "the process before this one" in await response.text()

    await until(waits)
    assert (await post(client, "/payment_json", payment()))[0] == 503
    before.leave()
    await ready(client)
    assert (await post(client, "/payment_json", payment()))[0] == 201


@asynccontextmanager
async def service(servers: Servers, folder: Path, port: int, workers: int, **variables: str) -> AsyncIterator[Child]:
    """`python -m service`, ready."""
    environment = {
        "SERVICE_PORT": str(port),
        "QUEUE_VIEW": str(folder / "view.sqlite"),
        "WORKERS": str(workers),
        **variables,
    }
    with running(servers, folder / "service.log", "service", **environment) as child:
        await until_ready(f"http://127.0.0.1:{port}")
        yield child


async def post_until_accepted(session: aiohttp.ClientSession, url: str, sent: Json) -> Json:
    """A client that retries whatever got no receipt, for a minute."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with session.post(url, json=sent) as response:
                    answer: Json = await response.json(content_type=None)
                    if response.status == 201:
                        return answer
                    assert response.status == 503, answer
            except (aiohttp.ClientError, ConnectionError):
                pass
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("workers", [1, 2])
async def test_killed_under_load_and_started_again_it_has_each_payment_once(
    servers: Servers, tmp_path: Path, workers: int
) -> None:
    kafka, port = servers.kafka_settings, free_port()
    url = f"http://127.0.0.1:{port}/payment_json"
    sent = [payment(payor_account_no=number) for number in range(600)]
    # Each request opens a connection of its own: the kernel deals them out to the processes.
    connector = aiohttp.TCPConnector(limit=32, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        async with service(servers, tmp_path, port, workers) as child:
            since = await end_offsets(kafka, PAYMENT_JSON)
            twice = [asyncio.create_task(post_until_accepted(session, url, content)) for content in sent * 2]

            async def half_are_done() -> bool:
                return sum(task.done() for task in twice) > len(sent)

            await until(half_are_done)
            os.killpg(child.process.pid, signal.SIGKILL)
        async with service(servers, tmp_path, port, workers):
            receipts = await asyncio.gather(*twice)
            again = await asyncio.gather(*(post_until_accepted(session, url, content) for content in sent))
    arrived = await records(kafka, PAYMENT_JSON, since)
    on_kafka = Counter(json.loads(record.value[5:])["id"] for record in arrived)
    assert on_kafka == Counter(content["id"] for content in sent)
    places = {json.loads(record.value[5:])["id"]: (record.partition, record.offset) for record in arrived}
    assert all(places[receipt["id"]] == (receipt["partition"], receipt["offset"]) for receipt in receipts + again)
    assert all(receipt["replayed"] for receipt in again)


async def receipts_are_kept(url: str) -> bool:
    """Ask every process behind a port: one that has just lost its receipts is ready, and takes payments without."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        for _ in range(20):
            async with session.get(f"{url}/health/ready") as response:
                health = await response.json(content_type=None)
            if response.status != 200 or not health["checks"]["receipts"]["ok"]:
                return False
        return True


async def test_a_worker_that_is_stopped_within_a_write_does_not_hold_up_the_others(
    servers: Servers, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/payment_json"
    contents = [payment(payor_account_no=number) for number in range(20)]
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
        service(servers, tmp_path, port, workers=2) as child,
    ):
        since = await end_offsets(servers.kafka_settings, PAYMENT_JSON)
        # This process has the lock of one that writes, as long as the block lasts.
        with ReceiptLog(tmp_path / f"view.receipts/{port}/{FORMAT}-600", 600).exclusive():
            first = [await post_until_accepted(session, url, content) for content in contents]
            await until(lambda: receipts_are_kept(f"http://127.0.0.1:{port}"))
            again = [await post_until_accepted(session, url, content) for content in contents]
        await until(lambda: receipts_are_kept(f"http://127.0.0.1:{port}"))
        once_more = [await post_until_accepted(session, url, content) for content in contents]
        log = child.log.read_text()
    assert "was it stopped?" in log
    assert [receipt["id"] for receipt in first] == [content["id"] for content in contents]
    # What was sent while no receipts could be kept may be there twice; what was sent after, is not.
    copies = Counter(
        json.loads(record.value[5:])["id"] for record in await records(servers.kafka_settings, PAYMENT_JSON, since)
    )
    assert set(copies) == {content["id"] for content in contents}
    assert once_more == again
    assert all(receipt["replayed"] for receipt in again)


async def test_a_payment_in_flight_is_known_to_a_process_that_keeps_receipts_for_another_time(
    servers: Servers, tmp_path: Path
) -> None:
    port = free_port()
    folder = tmp_path / f"view.receipts/{port}/{FORMAT}-600"
    before = Processes(folder)
    before.mark(time.time())
    receipts = Receipts(folder, 600)
    content = payment()
    payment_id, print_of_it = id_bytes(content["id"]), fingerprint(PAYMENT_JSON, msgspec.convert(content, Payment))
    receipts.claim([(payment_id, print_of_it)], before.token, before.is_forgotten)
    async with (
        service(servers, tmp_path, port, 1, REPLAY_SECONDS="60", SHARE_PORT="true") as child,
        aiohttp.ClientSession() as session,
    ):
        since = await end_offsets(servers.kafka_settings, PAYMENT_JSON)
        answer = asyncio.create_task(post_until_accepted(session, f"http://127.0.0.1:{port}/payment_json", content))
        # While its first record is in flight there, it is not sent here.
        answered, _ = await asyncio.wait([answer], timeout=2.0)
        assert not answered
        assert await records(servers.kafka_settings, PAYMENT_JSON, since) == []
        place = Receipt(3, 4711, 1_795_608_000_000)
        receipts.keep([Run([payment_id], [print_of_it], receipts.seconds(), first_receipt=place)])
        receipt = await answer
        assert "REPLAY_SECONDS is not in force" in child.log.read_text()
    before.leave()
    assert (receipt["partition"], receipt["offset"], receipt["replayed"]) == (3, 4711, True)


async def test_it_can_be_turned_off(kafka: KafkaSettings, start: Start) -> None:
    client = await start(replay_seconds=0)
    since = await end_offsets(kafka, PAYMENT_JSON)
    sent = payment()
    answers = [await post(client, "/payment_json", sent) for _ in range(2)]
    assert [status for status, _ in answers] == [201, 201]
    assert len(await records(kafka, PAYMENT_JSON, since)) == 2

"""Payments while Kafka is silent, dead, refuses, or not there yet; and how the service ends."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from compose.addresses import free_port
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_JSON
from schemas.registry import RegistrySettings
from tests.conftest import Servers, running_servers
from tests.integration.bursts import (
    DEADLINE,
    SLACK,
    burst,
    check_truth,
    ids_on_kafka,
    nothing_in_flight,
    serving,
    takes_payments,
    timed_post,
)
from tests.integration.processes import all_are_ready, cases, make_topics, running, service_process, until
from tests.integration.serving import (
    Client,
    Json,
    case,
    end_offsets,
    payment,
    payor_of_this_test,
    post,
    post_lines,
    put_cases,
    queue,
    ready,
    set_largest,
)

# A server ends with the thread that started it, so one that a test starts again needs a thread that outlives the test.
STARTER = ThreadPoolExecutor(max_workers=1)


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    yield from running_servers(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def faulty(breakable: Servers) -> Iterator[Servers]:
    """Servers of this file alone, to be broken; mended for the next test."""
    yield breakable
    if breakable.kafka.process.poll() is None:
        breakable.kafka.process.send_signal(signal.SIGCONT)
    else:
        breakable.start_kafka()


async def in_a_thread_that_lasts(start: Callable[[], None]) -> None:
    await asyncio.get_running_loop().run_in_executor(STARTER, start)


@pytest.mark.parametrize("fault", ["frozen", "killed"])
async def test_payments_are_answered_in_time_while_kafka_is_away_and_taken_again_after(
    faulty: Servers, tmp_path: Path, fault: str
) -> None:
    kafka = faulty.kafka_settings
    async with serving(kafka, faulty.registry_settings, tmp_path / "view.sqlite") as client:
        await ready(client)
        before = await end_offsets(kafka, PAYMENT_JSON)
        payor = payor_of_this_test()
        await put_cases(kafka, case(payor, 1))
        await until(lambda: lists(client, payor, 1))
        first = await burst(client, 100)
        assert Counter(status for status, *_ in first) == {201: 100}
        if fault == "frozen":
            faulty.kafka.process.send_signal(signal.SIGSTOP)
        else:
            faulty.kafka.kill()
        away = await burst(client, 200) + await burst(client, 200)
        async with client.get("/health/ready") as response:
            assert response.status == 503
            assert not (await response.json(content_type=None))["checks"]["kafka"]["ok"]
        # What is in the view is served all the same.
        assert await lists(client, payor, 1)
        assert {status for status, *_ in away} == {503}
        assert {kind for _, kind, *_ in away} == {"outcome-unknown", "not-accepted"}
        assert all(retry_after and int(retry_after) > 0 for _, _, retry_after, *_ in away)
        assert max(seconds for *_, seconds, _ in away) < DEADLINE + SLACK
        if fault == "frozen":
            faulty.kafka.process.send_signal(signal.SIGCONT)
        else:
            await in_a_thread_that_lasts(faulty.start_kafka)
        await until(lambda: takes_payments(client))
        after = await burst(client, 100)
        assert Counter(status for status, *_ in after) == {201: 100}
        await until(lambda: nothing_in_flight(client))
        check_truth(first + away + after, await ids_on_kafka(kafka, before))
        # Sent again, all get receipts, the unknown included, wherever it was by then.
        contents = [payment(id=answer.payment_id, payor_account_no=at % 200) for at, answer in enumerate(away)]
        await asyncio.gather(*(accepted_at_last(client, answer) for answer in contents))
        await until(lambda: nothing_in_flight(client))
        await put_cases(kafka, case(payor, 2))
        await until(lambda: lists(client, payor, 2))
        copies = await ids_on_kafka(kafka, before)
    assert set(copies.values()) == {1}
    assert {answer.payment_id for answer in first + away + after} <= copies.keys()


async def accepted_at_last(client: Client, content: Json) -> None:
    """Send a payment until it has a receipt."""

    async def accepted() -> bool:
        return (await timed_post(client, content)).status == 201

    await until(accepted)


async def lists(client: Client, payor: int, number: int, **filters: str) -> bool:
    return len((await queue(client, payor=payor, **filters))["items"]) == number


async def test_what_waits_for_kafka_is_bounded(faulty: Servers, tmp_path: Path) -> None:
    kafka = faulty.kafka_settings
    view = tmp_path / "view.sqlite"
    async with serving(kafka, faulty.registry_settings, view, max_in_flight=50) as client:
        await ready(client)
        faulty.kafka.process.send_signal(signal.SIGSTOP)
        answers = await burst(client, 200)
        at_once = [answer.seconds for answer in answers if answer.kind == "too-many-in-flight"]
        assert len(at_once) == 150
        assert max(at_once) < min(answer.seconds for answer in answers if answer.kind != "too-many-in-flight")
        results = await post_lines(client, "/payment_json", [json.dumps(payment()) for _ in range(200)])
        assert {result["status"] for result in results} == {503}
        faulty.kafka.process.send_signal(signal.SIGCONT)
        await until(lambda: takes_payments(client))
        await until(lambda: nothing_in_flight(client))


async def test_a_refused_payment_gets_its_error_and_its_neighbours_get_through(
    kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    async with serving(kafka, registry, tmp_path / "view.sqlite") as client:
        await ready(client)
        before = await end_offsets(kafka, PAYMENT_JSON)
        await set_largest(kafka, PAYMENT_JSON, 500)
        try:

            async def is_refused() -> bool:
                return (await post(client, "/payment_json", payment(payee_bank="é" * 140)))[0] == 413

            await until(is_refused)
            assert (await post(client, "/payment_json", payment()))[0] == 201
            singly, batch = among_neighbours(), among_neighbours()
            statuses = [
                status for status, _ in await asyncio.gather(*(post(client, "/payment_json", p) for p in singly))
            ]
            assert [number for number, status in enumerate(statuses) if status != 201] == [50]
            assert statuses[50] == 413
            results = await post_lines(client, "/payment_json", [json.dumps(content) for content in batch])
            assert [result["line"] for result in results if result["status"] != 201] == [51]
        finally:
            await set_largest(kafka, PAYMENT_JSON, 1_048_588)
        copies = await ids_on_kafka(kafka, before)
    for number, content in enumerate([*singly, *batch]):
        assert copies[content["id"]] == (number % 100 != 50)


def among_neighbours() -> list[Json]:
    """A hundred payments, the one in the middle larger than the others."""
    return [payment(payee_bank="é" * 140) if number == 50 else payment() for number in range(100)]


async def test_the_service_starts_before_kafka_and_the_registry(faulty: Servers, tmp_path: Path) -> None:
    faulty.kafka.kill()
    faulty.children["registry"].kill()
    async with serving(faulty.kafka_settings, faulty.registry_settings, tmp_path / "view.sqlite") as client:
        async with client.get("/health/live") as response:
            assert response.status == 200
        async with client.get("/health/ready") as response:
            checks = (await response.json(content_type=None))["checks"]
            assert response.status == 503
            assert not checks["kafka"]["ok"]
            assert not checks["schema_registry"]["ok"]
        status, problem = await post(client, "/payment_json", payment())
        assert status == 503
        assert "not accepted" in problem["detail"]
        await in_a_thread_that_lasts(faulty.start_registry)
        await in_a_thread_that_lasts(faulty.start_kafka)
        await ready(client)
        assert await takes_payments(client)


async def test_payments_go_on_without_the_registry_and_fraud_waits_for_it(faulty: Servers, tmp_path: Path) -> None:
    kafka, payor = faulty.kafka_settings, payor_of_this_test()
    await make_topics(kafka)
    async with serving(kafka, faulty.registry_settings, tmp_path / "view.sqlite") as client:
        await ready(client)
        faulty.children["registry"].kill()
        for _ in range(3):
            assert (await post(client, "/payment_avro", payment(payor_account_no=payor)))[0] == 201
        async with client.get("/health/ready") as response:
            assert response.status == 200
            check = (await response.json())["checks"]["schema_registry"]
            assert (check["ok"], check["required"]) == (False, False)
        log = tmp_path / "fraud.log"
        with running(faulty, log, "fraud", "run", FRAUD_APP="registry"):

            async def says_so() -> bool:
                text = await asyncio.to_thread(log.read_text)
                return "session ended; starting over" in text and "schema registry at" in text

            await until(says_so)
            assert not await cases(kafka)
            await in_a_thread_that_lasts(faulty.start_registry)
            await until(lambda: lists(client, payor, 1, rule="structuring"))


@pytest.mark.parametrize("workers", [1, 2])
async def test_sigterm_answers_what_is_under_way_and_ends_with_0(
    servers: Servers, tmp_path: Path, workers: int
) -> None:
    before = None
    acknowledged: list[str] = []
    other: list[Any] = []
    async with (
        service_process(servers, tmp_path, "--workers", str(workers)) as (child, url),
        aiohttp.ClientSession() as session,
    ):
        await until(lambda: all_are_ready(url))
        before = await end_offsets(servers.kafka_settings, PAYMENT_JSON)

        async def post_until_it_ends() -> None:
            while True:
                sent = payment()
                try:
                    async with session.post(f"{url}/payment_json", json=sent) as response:
                        if response.status == 201:
                            acknowledged.append(sent["id"])
                        else:
                            other.append(await response.text())
                except aiohttp.ClientError:
                    return

        posting = [asyncio.create_task(post_until_it_ends()) for _ in range(20)]

        async def under_way() -> bool:
            return len(acknowledged) > 200

        await until(under_way)
        child.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*posting)
        assert await asyncio.to_thread(child.process.wait, 20) == 0
    assert not other
    copies = await ids_on_kafka(servers.kafka_settings, before)
    assert all(copies[payment_id] == 1 for payment_id in acknowledged)


async def test_a_schema_that_clashes_ends_the_service_with_one_line(tmp_path: Path) -> None:
    servers = Servers(tmp_path)
    servers.start_registry()
    try:
        await register_a_clash(servers.registry_settings)
        # It needs no Kafka to see that it cannot go on.
        async with service_process(servers, tmp_path) as (child, _):
            assert await asyncio.to_thread(child.process.wait, 60) == 1
    finally:
        servers.stop()
    log = (tmp_path / "service.log").read_text()
    [line] = [line for line in log.splitlines() if line.startswith("service: ")]
    assert "payment_avro-value" in line
    assert "Traceback" not in log


async def register_a_clash(registry: RegistrySettings) -> None:
    url = registry.schema_registry_url
    clashing = {"type": "record", "name": "Payment", "fields": [{"name": "id", "type": "int"}]}
    schema = {"schema": json.dumps(clashing), "schemaType": "AVRO"}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/subjects/payment_avro-value/versions", json=schema) as response:
            assert response.status == 200
        level = {"compatibility": "BACKWARD"}
        async with session.put(f"{url}/config/payment_avro-value", json=level) as response:
            assert response.status == 200


async def test_memory_stays_bounded_while_kafka_is_frozen(faulty: Servers, tmp_path: Path) -> None:
    view = tmp_path / "view.sqlite"
    changes = {"max_in_flight_bytes": 8 * 1024 * 1024, "deadline": 2.0}
    async with serving(faulty.kafka_settings, faulty.registry_settings, view, **changes) as client:
        await ready(client)
        batches = [[json.dumps(payment(payor_account_no=number)) for number in range(10_000)] for _ in range(11)]
        await post_lines(client, "/payment_json", batches.pop())
        faulty.kafka.process.send_signal(signal.SIGSTOP)
        sizes = [resident()]
        watching = asyncio.create_task(watch(sizes))
        while batches:
            pair = batches.pop(), batches.pop()
            results = await asyncio.gather(*(post_lines(client, "/payment_json", lines) for lines in pair))
            assert all(line["status"] == 503 for result in results for line in result)
        watching.cancel()
        faulty.kafka.process.send_signal(signal.SIGCONT)
        grown = (max(sizes) - sizes[0]) / 2**20
        assert grown < 150, f"{grown} MiB"


def resident() -> int:
    """Bytes of this process, now: not the most that any test before took."""
    size: int = psutil.Process().memory_info().rss
    return size


async def watch(sizes: list[int]) -> None:
    while True:
        await asyncio.sleep(0.02)
        sizes.append(resident())


def test_a_view_in_the_place_of_another_database_ends_the_command_with_one_message(tmp_path: Path) -> None:
    view = tmp_path / "books.sqlite"
    with sqlite3.connect(view) as connection:
        connection.execute("CREATE TABLE books (title TEXT)")
    connection.close()
    command = [sys.executable, "-m", "service", "--queue-view", str(view), "--service-port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert f"service: queue_view {view} is another program's database" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "flags", [["--service-port", "x"], ["--workers", "0"], ["--kafka-security-protocol", "SASL_SSL"]]
)
def test_a_setting_that_makes_no_sense_ends_the_command_with_one_message(flags: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "service", *flags], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode != 0
    assert "Traceback" not in ended.stdout + ended.stderr


def test_what_no_worker_can_work_with_ends_the_command_without_a_traceback(tmp_path: Path) -> None:
    access = tmp_path / "access.toml"
    access.write_text("nonsense")
    flags = ["--workers", "2", "--service-port", str(free_port()), "--queue-view", str(tmp_path / "view.sqlite")]
    ended = subprocess.run(
        [sys.executable, "-m", "service", *flags, "--access-file", str(access)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr
    assert all(line.startswith(f"service: {access}: ") for line in ended.stderr.splitlines())


async def test_a_service_takes_over_the_port_of_one_that_still_answers(servers: Servers, tmp_path: Path) -> None:
    shared = ["--share-port"]
    async with service_process(servers, tmp_path, *shared) as (old, url), aiohttp.ClientSession() as session:
        await until(lambda: all_are_ready(url))
        port = url.rpartition(":")[2]
        log = tmp_path / "new.log"
        environment = {"SERVICE_PORT": port, "QUEUE_VIEW": str(tmp_path / "view.sqlite")}
        with running(servers, log, "service", *shared, **environment):

            async def new_one_listens() -> bool:
                return '"listening"' in await asyncio.to_thread(log.read_text)

            await until(new_one_listens)
            # It listens once it is ready, so whichever of the two is asked, it takes payments.
            assert await all_are_ready(url)
            old.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(old.process.wait, 20) == 0
            async with session.post(f"{url}/payment_json", json=payment()) as response:
                assert response.status == 201
        with running(servers, tmp_path / "alone.log", "service", SERVICE_PORT=port) as alone:
            await until(lambda: all_are_ready(url))
            other = Path(f"{tmp_path}/other.log")
            with running(servers, other, "service", SERVICE_PORT=port, QUEUE_VIEW=str(tmp_path / "x")) as refused:
                assert await asyncio.to_thread(refused.process.wait, 20) == 1
            assert "address already in use" in await asyncio.to_thread(other.read_text)
            alone.check()


async def test_workers_whose_supervisor_is_killed_end_too(servers: Servers, tmp_path: Path) -> None:
    async with service_process(servers, tmp_path, "--workers", "2") as (child, url):
        await until(lambda: all_are_ready(url))
        child.kill()

        async def nobody_listens() -> bool:
            try:
                async with aiohttp.ClientSession() as session, session.get(url):
                    return False
            except aiohttp.ClientError:
                return True

        await until(nobody_listens)

"""The view of the review queue on a disk that is full, and in a file that somebody spoils: payments never mind."""

import asyncio
import json
import os
import resource
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from schemas.kafka.topics import REVIEW_QUEUE
from service.queue.view import QUEUE_VIEW
from tests.conftest import Servers
from tests.integration.bursts import serving, takes_payments
from tests.integration.processes import all_are_ready, producer, service_process, until
from tests.integration.serving import case, payment, payor_of_this_test, put_cases, ready

CASES = 300


async def answer(session: aiohttp.ClientSession, url: str) -> tuple[int, Any]:
    async with session.get(url) as response:
        return response.status, await response.json(content_type=None)


async def test_a_full_disk_stops_the_queue_alone_until_there_is_room_again(servers: Servers, tmp_path: Path) -> None:
    payor = payor_of_this_test()
    async with service_process(servers, tmp_path) as (child, url), aiohttp.ClientSession() as session:
        await until(lambda: all_are_ready(url))
        pid = child.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        # The kernel says EFBIG to each write: the log's and the view's.
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
        await put_cases(servers.kafka_settings, case(payor))

        async def queue_is_named() -> bool:
            status, health = await answer(session, f"{url}/health/ready")
            check = health["checks"]["review_queue"]
            assert status == 200, health
            return not check["ok"] and "disk" in check["reason"]

        await until(queue_is_named)
        async with session.post(f"{url}/payment_json", json=payment()) as response:
            assert response.status == 201
        assert (await answer(session, f"{url}/review-queue?payor={payor}"))[1]["items"] == []
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))

        async def caught_up() -> bool:
            return len((await answer(session, f"{url}/review-queue?payor={payor}"))[1]["items"]) == 1

        await until(caught_up)
        assert (await answer(session, f"{url}/health/ready"))[1]["checks"]["review_queue"]["ok"]


def garbage_in_the_middle(file: Path) -> None:
    with file.open("r+b") as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(size // 4)
        handle.write(os.urandom(size // 2))


def cut_short(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 3)


def something_else(file: Path) -> None:
    with file.open("r+b") as handle:
        handle.write(json.dumps({"this": "is no database"}).encode() * 1000)


def large_case(payor: int, number: int, **changes: Any) -> Any:
    """All of them together are more than a connection to the view keeps in memory."""
    one = case(payor, number, **changes)
    return {**one, "payments": one["payments"] * 150}


@pytest.mark.parametrize(
    ("spoil", "suffix"),
    [
        (garbage_in_the_middle, ""),
        (cut_short, ""),
        (something_else, ""),
        (garbage_in_the_middle, "-wal"),
        (cut_short, "-wal"),
    ],
)
async def test_a_view_spoilt_while_it_is_open_is_made_anew(
    servers: Servers, tmp_path: Path, spoil: Any, suffix: str
) -> None:
    payor, view = payor_of_this_test(), tmp_path / "view.sqlite"
    cases = [large_case(payor, number) for number in range(CASES)]
    async with serving(servers.kafka_settings, servers.registry_settings, view) as client:
        await ready(client)
        await put_cases(servers.kafka_settings, *cases)
        await until(lambda: shows(client, payor, cases, least=CASES))
    # Opened anew, so that little of it is in memory, and what was in the log is in the file.
    async with serving(servers.kafka_settings, servers.registry_settings, view) as client:
        await ready(client)
        cases[1] = large_case(payor, 1, payment_count=50)
        await put_cases(servers.kafka_settings, *cases[:100], cases[1])
        await until(lambda: shows(client, payor, cases, least=50))
        epoch = client.app[QUEUE_VIEW].epoch
        await asyncio.to_thread(spoil, Path(f"{view}{suffix}"))
        assert await takes_payments(client)
        cases[2] = large_case(payor, 2, payment_count=99)
        await put_cases(servers.kafka_settings, cases[2])
        await until(lambda: shows(client, payor, cases, least=99))
        assert client.app[QUEUE_VIEW].epoch != epoch


async def shows(client: Any, payor: int, cases: list[Any], least: int) -> bool:
    """Tell whether the queue has these cases, each as it is, and one that has at least so many payments."""
    async with client.get("/review-queue", params={"payor": payor, "limit": 500}) as response:
        if response.status == 503:  # it is being made anew
            return False
        assert response.status == 200, await response.text()
        shown = {item["case_id"]: item["payment_count"] for item in (await response.json())["items"]}
    expected = {content["case_id"]: content["payment_count"] for content in cases}
    return shown == expected and max(expected.values()) >= least


async def test_a_service_that_starts_while_cases_keep_coming_becomes_ready(servers: Servers, tmp_path: Path) -> None:
    payor = payor_of_this_test()
    async with producer(servers.kafka_settings) as client:

        async def keep_coming() -> None:
            while True:
                await client.send_and_wait(REVIEW_QUEUE, json.dumps(case(payor)).encode(), key=b"a case")

        coming = asyncio.create_task(keep_coming())
        async with serving(servers.kafka_settings, servers.registry_settings, tmp_path / "view.sqlite") as service:
            await until(lambda: is_ready_now(service), 20)
        coming.cancel()


async def is_ready_now(client: Any) -> bool:
    async with client.get("/health/ready") as response:
        return response.status == 200

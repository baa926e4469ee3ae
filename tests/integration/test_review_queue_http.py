"""The review queue over HTTP, from the topic through the view."""

import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import CONFIGS, REVIEW_QUEUE
from schemas.registry import RegistrySettings
from tests.integration.processes import until
from tests.integration.serving import Client, Json, case, payor_of_this_test, put_cases, queue, serving

Serve = Callable[[], Any]
Put = Callable[..., Awaitable[None]]


@pytest.fixture
def serve(kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path) -> Serve:
    """A service for the length of a block; the next one finds the same view."""
    return lambda: serving(kafka, registry, tmp_path / "view.sqlite")


@pytest.fixture
def put(kafka: KafkaSettings) -> Put:
    """Commit cases to the topic in one transaction, as fraud does."""
    return lambda *cases, abort=False: put_cases(kafka, *cases, abort=abort)


async def listed(client: Client, payor: int, number: int) -> list[Json]:
    """The payor's cases, once there are so many."""

    async def all_there() -> bool:
        return len((await queue(client, payor=payor))["items"]) == number

    await until(all_there)
    items: list[Json] = (await queue(client, payor=payor))["items"]
    return items


async def test_a_case_is_readable_soon_after_its_commit(serve: Serve, put: Put) -> None:
    payor = payor_of_this_test()
    async with serve() as client:
        await put(case(payor))
        committed = time.monotonic()
        [item] = await listed(client, payor, 1)
        assert time.monotonic() - committed < 1.0
        sent = case(payor, payments=item["payments"])
        assert {name: item[name] for name in sent} == sent
        assert (item["status"], item["agreement"]) == ("open", "off")


async def test_only_committed_cases_are_shown(serve: Serve, put: Put) -> None:
    payor = payor_of_this_test()
    async with serve() as client:
        await put(case(payor, 1), abort=True)
        await put(case(payor, 2))
        [item] = await listed(client, payor, 1)
        assert item["group"]["payee_account_no"] == 2


async def test_a_case_that_grows_stays_one_item_with_a_higher_version(serve: Serve, put: Put) -> None:
    payor = payor_of_this_test()
    async with serve() as client:
        await put(case(payor))
        [before] = await listed(client, payor, 1)
        await put(case(payor, payment_count=3, total_amount="12000.03"))

        async def grown() -> bool:
            [item] = (await queue(client, payor=payor))["items"]
            return bool(item["payment_count"] == 3)

        await until(grown)
        [after] = (await queue(client, payor=payor))["items"]
        assert after["total_amount"] == "12000.03"
        assert after["version"] > before["version"]
        await put({**case(payor), "gone": True})
        await listed(client, payor, 0)


async def test_a_page_leads_to_the_next(serve: Serve, put: Put) -> None:
    payor = payor_of_this_test()
    async with serve() as client:
        await put(*(case(payor, number) for number in range(12)))
        await listed(client, payor, 12)
        numbers: list[int] = []
        parameters: dict[str, Any] = {"payor": payor, "limit": 5, "sort": "-total"}
        while True:
            page = await queue(client, **parameters)
            numbers += [item["group"]["payee_account_no"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            parameters["cursor"] = page["next_cursor"]
        assert numbers == list(range(11, -1, -1))


async def test_one_case_comes_with_those_that_are_related(serve: Serve, put: Put) -> None:
    payor = payor_of_this_test()
    async with serve() as client:
        await put(case(payor, 1), case(payor, 2))
        await listed(client, payor, 2)
        async with client.get(f"/review-queue/{case(payor, 1)['case_id']}") as response:
            content = await response.json()
        assert content["payments"][0]["payment_amount"] == 1.5
        assert [line["case_id"] for line in content["related"]] == [case(payor, 2)["case_id"]]
        for unknown in (uuid.uuid4(), "x", "x" * 1000, "%00"):
            async with client.get(f"/review-queue/{unknown}") as response:
                assert response.status == 404
                assert response.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("payor=x", 422, "payor"),
        ("payor=2147483648", 422, "payor"),
        ("min_total=1.001", 422, "min_total"),
        ("limit=0", 422, "limit"),
        ("limit=501", 422, "limit"),
        ("sort=colour", 422, "sort"),
        ("cursor=x", 400, "cursor"),
        ("colour=red", 400, "colour"),
        ("payor=1&payor=2", 400, "payor"),
    ],
)
async def test_a_bad_parameter_is_named(serve: Serve, query: str, status: int, field: str) -> None:
    async with serve() as client, client.get(f"/review-queue?{query}") as response:
        problem = await response.json(content_type=None)
        assert (response.status, response.content_type) == (status, "application/problem+json")
        assert problem["field"] == field


async def test_a_restart_goes_on_where_the_view_stands(serve: Serve, put: Put, tmp_path: Path) -> None:
    payor = payor_of_this_test()
    async with serve() as client:
        await put(case(payor, 1))
        await listed(client, payor, 1)
    await put(case(payor, 2))
    async with serve() as client:
        assert len(await listed(client, payor, 2)) == 2
        # Only what came in between was read again.
        assert await figure(client, "underten_review_queue_records_total", 1)


async def figure(client: Client, name: str, value: int) -> bool:
    """Wait until a metric has this value; they are brought up to date every second."""

    async def reached() -> bool:
        async with client.get("/metrics") as response:
            return f"\n{name} {value}.0\n" in await response.text()

    await until(reached, 10)
    return True


async def test_a_view_that_is_corrupt_is_made_anew_from_the_topic(serve: Serve, put: Put, tmp_path: Path) -> None:
    payor = payor_of_this_test()
    async with serve() as client:
        await put(case(payor, 1))
        await listed(client, payor, 1)
    (tmp_path / "view.sqlite").write_bytes(b"not a database at all" * 1000)
    async with serve() as client:
        assert len((await queue(client, payor=payor))["items"]) == 1


async def test_a_view_that_is_damaged_while_it_is_open_is_made_anew(serve: Serve, put: Put, tmp_path: Path) -> None:
    payor = payor_of_this_test()
    file = tmp_path / "view.sqlite"
    async with serve() as client:
        await put(*(case(payor, number) for number in range(500)))

        async def all_there() -> bool:
            return len((await queue(client, payor=payor, limit=500))["items"]) == 500

        await until(all_there)
    async with serve() as client:
        with file.open("r+b") as handle:
            handle.seek(4096)
            handle.write(b"\xaa" * (file.stat().st_size - 4096))

        async def whole_again() -> bool:
            async with client.get("/review-queue", params={"payor": payor, "limit": 500, "sort": "total"}) as response:
                assert response.status in {200, 503}
                return response.status == 200 and len((await response.json())["items"]) == 500

        await until(whole_again, 20)


async def test_a_topic_that_was_made_anew_gives_a_new_view(
    kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    payor, view = payor_of_this_test(), tmp_path / "view.sqlite"
    async with serving(kafka, registry, view) as client:
        await put_cases(kafka, case(payor, 1), case(payor, 2))
        await listed(client, payor, 2)
    await make_anew(kafka)
    await put_cases(kafka, case(payor, 3), case(payor, 4), case(payor, 5), case(payor, 6))
    async with serving(kafka, registry, view) as client:
        items = await listed(client, payor, 4)
        assert {item["group"]["payee_account_no"] for item in items} == {3, 4, 5, 6}


async def make_anew(kafka: KafkaSettings) -> None:
    """Delete the topic, and make another one of its name."""
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        await admin.delete_topics([REVIEW_QUEUE])

        async def created() -> bool:
            answer = await admin.create_topics([NewTopic(REVIEW_QUEUE, 6, 1, topic_configs=CONFIGS[REVIEW_QUEUE])])
            return all(code == 0 for _, code, *_ in answer.topic_errors)

        await until(created)
    finally:
        await admin.close()

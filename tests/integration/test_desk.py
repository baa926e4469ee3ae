"""The reviewer's desk over HTTP: decisions through Kafka, conflicts, snoozes, the queue as it changes."""

import asyncio
import csv
import io
import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import REVIEW_DECISIONS
from schemas.registry import RegistrySettings
from service.queue.view import QUEUE_VIEW
from tests.integration.desk import decide, put, show
from tests.integration.processes import read_all, until
from tests.integration.serving import (
    Client,
    Json,
    case,
    payor_of_this_test,
    put_cases,
    queue,
    serving,
    set_largest,
)


async def test_a_case_is_claimed_and_cleared_and_its_history_says_by_whom(desk: Client, kafka: KafkaSettings) -> None:
    [new] = await put(desk, kafka, case(payor_of_this_test()))
    assert (new["status"], new["reviewer"], new["history"]) == ("open", None, [])
    status, claimed = await decide(desk, new, "claim", version=new["version"])
    assert (status, claimed["status"], claimed["reviewer"]) == (201, "in_review", "ann")
    assert claimed["version"] > new["version"]
    outcome = {"outcome": "false_positive", "note": "rent"}
    status, cleared = await decide(desk, new, "clear", version=claimed["version"], **outcome)
    assert (status, cleared["status"], cleared["outcome"]) == (201, "cleared", "false_positive")
    assert [(entry["number"], entry["decision"], entry["reviewer"]) for entry in cleared["history"]] == [
        (1, "claim", "ann"),
        (2, "clear", "ann"),
    ]
    records = [record for record in await read_all(kafka, REVIEW_DECISIONS) if record.key == new["case_id"].encode()]
    assert all(dict(record.headers)["request_id"] for record in records)
    decisions = [json.loads(record.value) for record in records]
    assert [(decision["decision"], decision["reviewer"], decision["note"]) for decision in decisions] == [
        ("claim", "ann", None),
        ("clear", "ann", "rent"),
    ]


async def test_who_saw_an_older_version_is_told_who_was_faster(desk: Client, kafka: KafkaSettings) -> None:
    [line] = await put(desk, kafka, case(payor_of_this_test()))
    await decide(desk, line, "claim", "ann", line["version"])
    status, problem = await decide(desk, line, "claim", "bob", line["version"])
    assert status == 409
    assert problem["type"].endswith(":conflict")
    assert problem["detail"].startswith("ann was faster: claim at ")
    assert problem["case"]["reviewer"] == "ann"


async def test_of_two_services_at_once_exactly_one_decision_stands(
    kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    async with (
        serving(kafka, registry, tmp_path / "one.sqlite") as one,
        serving(kafka, registry, tmp_path / "two.sqlite") as two,
    ):
        for number in range(5):
            [line] = await put(one, kafka, case(payor_of_this_test(), number))

            async def is_shown(line: Json = line) -> bool:
                return "version" in await show(two, line)

            await until(is_shown)
            answers = await asyncio.gather(
                decide(one, line, "claim", "ann", line["version"]),
                decide(two, line, "claim", "bob", line["version"]),
            )
            assert sorted(status for status, _ in answers) == [201, 409]

            async def is_the_same(line: Json = line) -> bool:
                return (await show(one, line))["version"] == (await show(two, line))["version"]

            await until(is_the_same)
            winner = next(content["reviewer"] for status, content in answers if status == 201)
            for client in (one, two):
                assert (await show(client, line))["reviewer"] == winner


async def test_a_decision_without_a_version_is_about_the_case_as_it_stands(desk: Client, kafka: KafkaSettings) -> None:
    [line] = await put(desk, kafka, case(payor_of_this_test()))
    answers = await asyncio.gather(*(decide(desk, line, "note", f"r{n}", note=f"number {n}") for n in range(4)))
    assert [status for status, _ in answers] == [201] * 4
    history = (await show(desk, line))["history"]
    assert sorted(entry["number"] for entry in history if entry["took_effect"]) == [1, 2, 3, 4]


async def test_a_case_that_grows_after_it_was_cleared_is_open_again_and_says_why(
    desk: Client, kafka: KafkaSettings
) -> None:
    payor = payor_of_this_test()
    [line] = await put(desk, kafka, case(payor))
    await decide(desk, line, "clear", outcome="false_positive")
    [grown] = await put(desk, kafka, case(payor, payment_count=3, total_amount="17000.00"))
    assert (grown["status"], grown["reviewer"], grown["outcome"]) == ("open", None, None)
    assert grown["reopened"]["why"] == (
        "ann cleared it with 2 payments and $10000.01; it has 3 payments and $17000.00 now"
    )


async def test_a_lock_is_respected_and_can_be_passed_on(desk: Client, kafka: KafkaSettings) -> None:
    [line] = await put(desk, kafka, case(payor_of_this_test()))
    await decide(desk, line, "claim", "ann")
    status, problem = await decide(desk, line, "clear", "bob", outcome="false_positive")
    assert (status, problem["type"].rpartition(":")[2]) == (409, "not-possible")
    status, assigned = await decide(desk, line, "assign", "bob", assignee="bob")
    assert (status, assigned["reviewer"]) == (201, "bob")
    status, _ = await decide(desk, line, "escalate", "bob", outcome="confirmed_risk")
    assert status == 201
    status, reopened = await decide(desk, line, "reopen", "ann")
    assert (status, reopened["status"], reopened["reviewer"]) == (201, "open", None)


async def test_a_snooze_silences_the_rule_for_the_group_until_it_is_over(desk: Client, kafka: KafkaSettings) -> None:
    payor = payor_of_this_test()
    first = case(payor)
    [line] = await put(desk, kafka, first)
    until_ms = int(time.time() * 1000) + 3_600_000
    status, snoozed = await decide(desk, line, "snooze", until=until_ms, note="two parts of the rent")
    assert (status, snoozed["status"], snoozed["snoozed_until"]) == (201, "snoozed", until_ms)
    later = {"case_id": str(uuid.uuid4()), "window_start": first["window_start"] + 86_400_000}
    [next_day] = await put(desk, kafka, {**first, **later})
    assert (next_day["status"], next_day["snooze"]["reviewer"]) == ("snoozed", "ann")
    [other] = await put(desk, kafka, case(payor, 1))
    assert other["status"] == "open"
    assert len((await queue(desk, payor=payor))["items"]) == 3
    status, awake = await decide(desk, next_day, "reopen", "bob")
    assert (status, awake["status"]) == (201, "open")
    assert (await show(desk, line))["status"] == "open"


async def test_a_snooze_ends_by_itself(desk: Client, kafka: KafkaSettings) -> None:
    [line] = await put(desk, kafka, case(payor_of_this_test()))
    await decide(desk, line, "snooze", until=int(time.time() * 1000) + 500)

    async def awake() -> bool:
        return (await show(desk, line))["status"] == "open"

    await until(awake)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"decision": "clear"}, "outcome"),
        ({"decision": "clear", "outcome": "no idea"}, "outcome"),
        ({"decision": "claim", "outcome": "false_positive"}, "outcome"),
        ({"decision": "assign"}, "assignee"),
        ({"decision": "note"}, "note"),
        ({"decision": "snooze"}, "until"),
        ({"decision": "snooze", "until": 1}, "until"),
        ({"decision": "explode"}, "decision"),
        ({"decision": "claim", "reviewer": " "}, "reviewer"),
        ({"decision": "claim", "colour": "red"}, "colour"),
    ],
)
async def test_a_decision_that_makes_no_sense_names_its_field(desk: Client, body: Json, field: str) -> None:
    async with desk.post("/review-queue/nobody/decisions", json={"reviewer": "ann", **body}) as response:
        assert (response.status, (await response.json(content_type=None))["field"]) == (422, field)


async def test_a_decision_on_a_case_that_is_not_there_is_404(desk: Client) -> None:
    assert (await decide(desk, {"case_id": str(uuid.uuid4())}, "claim"))[0] == 404


async def test_once_kafka_takes_decisions_again_so_does_the_desk(desk: Client, kafka: KafkaSettings) -> None:
    [line] = await put(desk, kafka, case(payor_of_this_test()))

    async def is_answered(status: int) -> bool:
        return (await decide(desk, line, "note", note="again"))[0] == status

    # Of a producer that it has not heard of, Kafka takes any sequence number.
    assert await is_answered(201)
    await set_largest(kafka, REVIEW_DECISIONS, 100)
    try:
        await until(lambda: is_answered(503))
    finally:
        await set_largest(kafka, REVIEW_DECISIONS, 1_048_588)
    await until(lambda: is_answered(201))


async def test_many_cases_are_decided_at_once_each_with_its_own_answer(desk: Client, kafka: KafkaSettings) -> None:
    payor = payor_of_this_test()
    cases = await put(desk, kafka, *(case(payor, number) for number in range(4)))
    await decide(desk, cases[1], "claim", "bob")
    targets = [{"case_id": line["case_id"], "version": line["version"]} for line in cases]
    targets.append({"case_id": "not-there"})
    body = {"cases": targets, "decision": "clear", "reviewer": "ann", "outcome": "false_positive"}
    async with desk.post("/review-queue/decisions", json=body) as response:
        items = (await response.json())["items"]
    assert [item["status"] for item in items] == [201, 409, 201, 201, 404]
    assert items[1]["detail"].startswith("bob was faster")
    async with desk.get("/review-queue/counts", params={"payor": payor}) as response:
        counts = await response.json()
    assert (counts["total"], counts["status"]) == (4, {"cleared": 3, "in_review": 1})
    assert counts["precision"]["structuring"]["precision"] < 1


async def test_a_fresh_view_comes_to_the_same_decisions(
    kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    async with serving(kafka, registry, tmp_path / "first.sqlite") as first:
        [line] = await put(first, kafka, case(payor_of_this_test()))
        await decide(first, line, "claim")
        await decide(first, line, "escalate", outcome="confirmed_risk")
        before = await show(first, line)
    async with serving(kafka, registry, tmp_path / "second.sqlite") as second:
        after = await show(second, line)
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"updated_at"}


async def events(client: Client, number: int, **headers: str) -> list[tuple[str, str, Json]]:
    """The next events: id, name, data."""
    received: list[tuple[str, str, Json]] = []
    fields: Json = {}
    async with client.get("/review-queue/events", headers=headers) as response, asyncio.timeout(10):
        assert response.content_type == "text/event-stream"
        async for line in response.content:
            name, _, value = line.decode().rstrip("\r\n").partition(": ")
            if name:
                fields[name] = value
            else:
                received.append((fields["id"], fields["event"], json.loads(fields["data"])))
                fields = {}
            if len(received) == number:
                break
    return received


async def test_whoever_follows_the_queue_is_told_of_cases_and_can_come_back(desk: Client, kafka: KafkaSettings) -> None:
    payor = payor_of_this_test()
    [(begun, name, _)] = await events(desk, 1)
    assert name == "ready"
    [first] = await put(desk, kafka, case(payor))
    await decide(desk, first, "claim")
    received = await events(desk, 2, **{"Last-Event-ID": begun})
    assert received[0][:2] == (begun, "ready")
    at, name, data = received[1]
    assert (name, data["case_id"], data["status"], data["matches"]) == ("case", first["case_id"], "in_review", True)
    assert "payments" not in data
    await put_cases(kafka, {**case(payor), "gone": True})
    received = await events(desk, 2, **{"Last-Event-ID": at})
    assert received[1][1:] == ("gone", {"case_id": first["case_id"]})


async def test_whoever_comes_back_to_another_view_is_told_to_read_anew(desk: Client) -> None:
    for last_id in ("0123456789ab-7", "nonsense"):
        [(_, name, _)] = await events(desk, 1, **{"Last-Event-ID": last_id})
        assert name == "reset"


async def test_whoever_follows_a_view_that_is_made_anew_is_told_to_read_anew(
    desk: Client, kafka: KafkaSettings
) -> None:
    await put(desk, kafka, case(payor_of_this_test()))
    async with desk.get("/review-queue/events") as response, asyncio.timeout(10):
        assert b"event: ready" in await response.content.readuntil(b"\r\n\r\n")
        await asyncio.to_thread(desk.app[QUEUE_VIEW].rebuild)
        assert b"event: reset" in await response.content.readuntil(b"\r\n\r\n")


async def test_the_filtered_queue_is_there_as_a_table_without_formulas(desk: Client, kafka: KafkaSettings) -> None:
    payor = payor_of_this_test()
    group = {"payor_account_no": payor, "payee_bank": "=cmd()", "payee_account_no": 1}
    await put(desk, kafka, case(payor), case(payor, 1, group=group))
    async with desk.get("/review-queue.csv", params={"payor": payor, "sort": "total"}) as response:
        rows = list(csv.DictReader(io.StringIO(await response.text())))
    assert [row["total_amount"] for row in rows] == ["10000.01", "10001.01"]
    assert rows[1]["payee_bank"] == "'=cmd()"
    assert rows[0]["window_start"].endswith("T00:00:00.000+00:00")


async def test_cases_are_found_by_reviewer_status_and_payment(desk: Client, kafka: KafkaSettings) -> None:
    payor = payor_of_this_test()
    mine, other = await put(desk, kafka, case(payor), case(payor, 1))
    await decide(desk, mine, "claim", f"r{payor}")

    async def matches(**parameters: Any) -> list[str]:
        return [line["case_id"] for line in (await queue(desk, **parameters))["items"]]

    assert await matches(reviewer=f"r{payor}") == [mine["case_id"]]
    assert await matches(payor=payor, status="open") == [other["case_id"]]
    assert len(await matches(payor=payor, status="open,in_review")) == 2
    assert await matches(payment_id=other["payments"][0]["id"].upper()) == [other["case_id"]]
    assert await matches(payment_id=other["payments"][0]["id"][:13], payor=payor) == [other["case_id"]]


async def test_the_status_says_how_things_stand(desk: Client) -> None:
    async with desk.get("/status") as response:
        status = await response.json()
    assert status["comparison"]["off"] is True
    assert status["lag"]["review_queue"] == 0
    assert status["payments_per_second"] >= 0

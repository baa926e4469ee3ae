"""The desk by subject over HTTP: decisions on an account, four eyes, tables, a report."""

import asyncio
import csv
import io
import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import REVIEW_VIEWS
from schemas.registry import RegistrySettings
from tests.integration.desk import decide, show
from tests.integration.processes import until
from tests.integration.serving import (
    Client,
    Json,
    case,
    end_offsets,
    payor_of_this_test,
    put_cases,
    queue,
    records,
    serving,
)

DAY_MS = 86_400_000


def split_once(payor: int) -> list[Json]:
    """Four cases of the same three payments, together 12,000.03."""
    payments = [
        {
            "id": str(uuid.uuid4()),
            "payment_amount": 4000.01,
            "payment_method": "ACH",
            "timestamp": 1_795_492_000_000 + n,
        }
        for n in range(3)
    ]
    figures = {"payment_count": 3, "total_amount": "12000.03", "payments": payments}
    return [case(payor, n, rule="structuring" if n == 0 else "structuring_rolling", **figures) for n in range(4)]


async def subject_of(client: Client, payor: int, cases: int) -> Json:
    """The payor as a subject, once it has so many cases."""
    lines: list[Json] = []

    async def there() -> bool:
        lines[:] = (await queue(client, by="subject", payor=payor))["items"]
        return [line["case_count"] for line in lines] == [cases]

    await until(there)
    return lines[0]


async def test_one_decision_on_a_subject_is_one_on_each_of_its_open_cases(desk: Client, kafka: KafkaSettings) -> None:
    payor = payor_of_this_test()
    await put_cases(kafka, *split_once(payor))
    line = await subject_of(desk, payor, 4)
    assert (line["payment_count"], line["total_amount"], line["open_cases"]) == (3, "12000.03", 4)
    status, cleared = await decide(desk, line, "clear", version=line["version"], outcome="false_positive")
    assert (status, cleared["status"], cleared["open_cases"]) == (201, "cleared", 0)
    assert len(cleared["history"]) == 4
    assert (await queue(desk, payor=payor, status="open,in_review"))["items"] == []
    assert (await queue(desk, by="subject", payor=payor, status="open,in_review"))["items"] == []


async def test_whoever_saw_an_older_version_of_a_subject_is_told_who_was_faster(
    desk: Client, kafka: KafkaSettings
) -> None:
    payor = payor_of_this_test()
    await put_cases(kafka, *split_once(payor))
    line = await subject_of(desk, payor, 4)
    assert (await decide(desk, line, "claim", "ann", line["version"]))[0] == 201
    status, problem = await decide(desk, line, "claim", "bob", line["version"])
    assert (status, problem["type"].rpartition(":")[2]) == (409, "conflict")
    assert problem["detail"].startswith("ann was faster: claim at ")
    assert problem["subject"]["reviewer"] == "ann"
    status, problem = await decide(desk, line, "clear", "bob", outcome="false_positive")
    assert (status, problem["type"].rpartition(":")[2]) == (409, "not-possible")
    status, problem = await decide(desk, line, "claim", "ann")
    assert (status, problem["detail"]) == (409, "you have claimed it already")
    assert (await decide(desk, {"subject_id": str(uuid.uuid4())}, "claim"))[0] == 404


async def test_a_subject_that_grows_after_its_decision_has_grown_since(desk: Client, kafka: KafkaSettings) -> None:
    payor = payor_of_this_test()
    await put_cases(kafka, case(payor))
    line = await subject_of(desk, payor, 1)
    await decide(desk, line, "escalate", outcome="confirmed_risk")
    assert (await queue(desk, by="subject", payor=payor, grown="true"))["items"] == []
    await put_cases(kafka, case(payor, payment_count=29, total_amount="90000.00"))

    async def grown() -> bool:
        return len((await queue(desk, by="subject", payor=payor, grown="true"))["items"]) == 1

    await until(grown)
    subject = await show(desk, line)
    assert (subject["status"], subject["growth"]["reviewer"], subject["growth"]["payment_count"]) == (
        "escalated",
        "ann",
        2,
    )


async def test_above_the_sum_a_second_reviewer_has_to_agree(
    kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    payor = payor_of_this_test()
    async with serving(kafka, registry, tmp_path / "view.sqlite", four_eyes=10_000.0) as client:
        await put_cases(kafka, *split_once(payor))
        line = await subject_of(client, payor, 4)
        status, proposed = await decide(client, line, "clear", "ann", outcome="false_positive")
        assert (status, proposed["status"], proposed["reviewer"]) == (201, "in_review", "ann")
        assert proposed["cases"][0]["proposal"]["decision"] == "clear"
        status, problem = await decide(client, line, "clear", "ann", outcome="false_positive")
        assert (status, problem["detail"]) == (409, "you have proposed to clear it; a second reviewer must agree")
        status, cleared = await decide(client, line, "clear", "bob", outcome="false_positive")
        assert (status, cleared["status"], cleared["reviewer"]) == (201, "cleared", "bob")


async def test_many_subjects_are_decided_at_once_each_with_its_own_answer(desk: Client, kafka: KafkaSettings) -> None:
    payors = [payor_of_this_test() for _ in range(3)]
    await put_cases(kafka, *(content for payor in payors for content in split_once(payor)))
    lines = [await subject_of(desk, payor, 4) for payor in payors]
    await decide(desk, lines[1], "claim", "bob")
    targets = [{"subject_id": line["subject_id"], "version": line["version"]} for line in lines]
    body = {"subjects": [*targets, {"subject_id": "nobody"}], "decision": "claim", "reviewer": "ann"}
    async with desk.post("/review-queue/decisions", json=body) as response:
        items = (await response.json())["items"]
    assert [item["status"] for item in items] == [201, 409, 201, 404]
    assert items[1]["detail"].startswith("bob was faster")
    for wrong in ({"cases": [], "subjects": []}, {"cases": [{"case_id": "a"}], "subjects": targets}):
        async with desk.post("/review-queue/decisions", json={**body, **wrong}) as response:
            assert response.status == 422


async def test_what_is_overdue_is_found_and_says_when_it_was_due(desk: Client, kafka: KafkaSettings) -> None:
    payor, now = payor_of_this_test(), int(time.time() * 1000)
    old, new = case(payor, 0, fired_at=now - 31 * DAY_MS), case(payor + 1, 1, fired_at=now - 29 * DAY_MS)
    await put_cases(kafka, old, new)
    due = await subject_of(desk, payor, 1)
    later = await subject_of(desk, payor + 1, 1)
    assert (due["overdue"], due["due_at"]) == (True, old["fired_at"] + 30 * DAY_MS)
    assert not later["overdue"]
    overdue = (await queue(desk, by="subject", overdue="true", sort="due_at", limit=500))["items"]
    ids = [line["subject_id"] for line in overdue]
    assert due["subject_id"] in ids
    assert later["subject_id"] not in ids


async def test_a_fan_out_case_names_the_payees_that_its_record_names(desk: Client, kafka: KafkaSettings) -> None:
    payor = payor_of_this_test()
    sides = [{"payor_account_no": payor, "payee_bank": f"Bank {n}", "payee_account_no": n} for n in range(5)]
    payments = [
        {"id": str(uuid.uuid4()), "payment_amount": 4000.0, "payment_method": "ACH", "timestamp": 1000 + n, **side}
        for n, side in enumerate(sides)
    ]
    await put_cases(
        kafka, case(payor, rule="fan_out", group={"payor_account_no": payor}, payments=payments, payment_count=5)
    )
    subject = await show(desk, await subject_of(desk, payor, 1))
    assert [payment["payee_bank"] for payment in subject["payments"]] == [f"Bank {n}" for n in range(5)]
    async with desk.get(f"/review-queue/subjects/{subject['subject_id']}/payments.csv") as response:
        rows = list(csv.DictReader(io.StringIO((await response.read()).decode("utf-8-sig"))))
    assert [row["payee_account_no"] for row in rows] == ["0", "1", "2", "3", "4"]
    async with desk.get(f"/review-queue/subjects/{subject['subject_id']}/report") as response:
        assert response.content_type == "text/html"
        assert "5 payees" in await response.text()
    async with desk.get(f"/review-queue/subjects/{subject['subject_id']}/chart.svg") as response:
        assert response.content_type == "image/svg+xml"


async def test_the_queue_by_subject_is_a_table_and_counted_and_followed(desk: Client, kafka: KafkaSettings) -> None:
    payor = payor_of_this_test()
    async with desk.get("/review-queue/events", params={"by": "subject"}) as response, asyncio.timeout(20):
        await response.content.readuntil(b"\r\n\r\n")
        await put_cases(kafka, *split_once(payor))
        line = await subject_of(desk, payor, 4)
        event = b""
        while line["subject_id"].encode() not in event:
            event = await response.content.readuntil(b"\r\n\r\n")
        assert b"event: subject" in event
    async with desk.get("/review-queue/counts", params={"by": "subject", "payor": payor}) as response:
        counts = await response.json()
    assert (counts["total"], counts["rules"]) == (1, {"structuring": 1, "structuring_rolling": 1})
    async with desk.get("/review-queue.csv", params={"by": "subject", "payor": payor}) as response:
        content = await response.read()
    assert content.startswith(b"\xef\xbb\xbfsubject_id,")
    [row] = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
    assert (row["payor_account_no"], row["payment_count"], row["total_amount"]) == (str(payor), "3", "12000.03")


async def test_whoever_looks_at_what_is_in_the_log_and_on_a_topic_if_that_is_set(
    kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    payor = payor_of_this_test()
    await put_cases(kafka, case(payor))
    case_id = case(payor)["case_id"]
    for log_views in (True, False):
        before = await end_offsets(kafka, REVIEW_VIEWS) if not log_views else {}
        async with serving(kafka, registry, tmp_path / "view.sqlite", log_views=log_views) as client:
            subject_id = (await subject_of(client, payor, 1))["subject_id"]
            subject = f"/review-queue/subjects/{subject_id}"
            table = f"/review-queue.csv?by=subject&payor={payor}"
            began = int(time.time() * 1000)
            with capture_logs() as logs:
                for path in (
                    subject,
                    f"/review-queue/{case_id}",
                    f"{subject}/report",
                    f"{subject}/payments.csv",
                    table,
                ):
                    async with client.get(path) as response:
                        assert response.status == 200
                async with client.get(f"{subject}-not") as response:
                    assert response.status == 404
        logged = [(entry["item"], entry["name"]) for entry in logs if entry["event"] == "viewed"]
        on_topic = await records(kafka, REVIEW_VIEWS, before)
        mine = sorted((json.loads(one.value) for one in on_topic), key=lambda one: one["time"])
        mine = [one for one in mine if one["time"] >= began]
        if not log_views:
            assert logged == mine == []
            continue
        items = ["subject", "case", "report", "payments", "queue"]
        assert logged == [(item, None) for item in items]
        assert all(dict(one.headers)["request_id"] for one in on_topic)
        assert {one.key.decode() for one in on_topic} >= {subject_id, case_id, "queue"}
        assert [{name: value for name, value in one.items() if name != "time"} for one in mine] == [
            {"item": "subject", "viewer": None, "subject_id": subject_id},
            {"item": "case", "viewer": None, "case_id": case_id},
            {"item": "report", "viewer": None, "subject_id": subject_id},
            {"item": "payments", "viewer": None, "subject_id": subject_id},
            {"item": "queue", "viewer": None, "filter": {"by": "subject", "payor": str(payor)}},
        ]


async def test_a_decision_is_seen_at_once_by_the_other_processes_of_the_port(
    kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    payor = payor_of_this_test()
    view = tmp_path / "view.sqlite"
    async with (
        serving(kafka, registry, view, share_port=True) as one,
        serving(kafka, registry, view, share_port=True) as other,
    ):
        await put_cases(kafka, *(case(payor, number) for number in range(20)))
        line = await subject_of(one, payor, 20)
        await subject_of(other, payor, 20)
        for turn in range(10):
            client, witness = (one, other) if turn % 2 else (other, one)
            status, _ = await decide(client, line, "claim", f"r{turn}") if turn == 0 else (201, {})
            assert status == 201
            note = f"note {turn}"
            assert (await decide(client, line, "note", "ann", note=note))[0] == 201
            history = (await show(witness, line))["history"]
            assert [entry["note"] for entry in history if entry["decision"] == "note"][-1] == note


async def exempt(client: Client, **changes: Any) -> tuple[int, Json]:
    until_ms = int(time.time() * 1000) + DAY_MS
    body = {"reason": "payroll", "until": until_ms, "max_total": "20000.00", "reviewer": "ann", **changes}
    async with client.post("/review-queue/exemptions", json=body) as response:
        return response.status, await response.json(content_type=None)


async def test_an_account_is_exempt_before_its_first_case_up_to_a_sum_and_until_somebody_ends_it(
    desk: Client, kafka: KafkaSettings
) -> None:
    payor = payor_of_this_test()
    status, exemption = await exempt(desk, group={"payor_account_no": payor})
    assert (status, exemption["reviewer"], exemption["ended"]) == (201, "ann", False)
    await put_cases(kafka, case(payor), case(payor, 1, total_amount="20000.01"))
    line = await subject_of(desk, payor, 2)
    assert {item["status"] for item in line["cases"]} == {"snoozed", "open"}
    async with desk.get("/review-queue/exemptions") as response:
        [listed] = [
            item for item in (await response.json())["items"] if item["exemption_id"] == exemption["exemption_id"]
        ]
    assert (listed["live"], listed["reason"]) == (True, "payroll")
    address = f"/review-queue/exemptions/{exemption['exemption_id']}/end"
    for expected in (200, 404):
        async with desk.post(address, json={"reviewer": "bob", "note": "it was not"}) as response:
            assert response.status == expected
    line = await subject_of(desk, payor, 2)
    assert {item["status"] for item in line["cases"]} == {"open"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"group": {}}, "group"),
        ({"group": {"payee_bank": "B"}}, "group"),
        ({"group": {"payor_account_no": 1}, "until": 1}, "until"),
        ({"group": {"payor_account_no": 1}, "max_total": "many"}, "max_total"),
        ({"group": {"payor_account_no": 1}, "reviewer": ""}, "reviewer"),
        ({"group": {"payor_account_no": 1}, "reason": " "}, "reason"),
    ],
)
async def test_an_exemption_that_makes_no_sense_names_its_field(desk: Client, changes: Json, field: str) -> None:
    status, problem = await exempt(desk, **changes)
    assert (status, problem["field"]) == (422, field)

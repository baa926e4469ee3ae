"""Everything that the topics hold of one account, exported and erased by the commands that an operator runs."""

import asyncio
import json
import os
import sys
from base64 import b64decode
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest

from schemas.codecs import payment_codecs
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_AVRO, PAYMENT_JSON, PAYMENT_REJECTED, REVIEW_DECISIONS, REVIEW_QUEUE
from schemas.payment import Payment, encode_json
from schemas.registry import Registry, RegistrySettings
from tests.conftest import Servers
from tests.integration.processes import Json, make_topics, producer, read_all, running, until


async def fraud(servers: Servers, *arguments: str) -> tuple[int, str]:
    """A command's exit status and what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fraud",
        *arguments,
        env={**os.environ, **servers.environment},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def exported(servers: Servers, *account: str) -> list[Json]:
    status, output = await fraud(servers, "export", *account)
    assert status == 0
    return [json.loads(line) for line in output.splitlines()]


async def test_an_account_is_exported_whole_and_alone_and_its_cases_can_be_erased(
    servers: Servers, kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_topics(kafka)
    codec = (await payment_codecs(Registry(registry)))[PAYMENT_AVRO]
    mine, other = [
        [Payment(str(uuid4()), "First/National", 100 + payor, 6000.0, "ACH", payor) for _ in range(2)]
        for payor in (100, 101)
    ]
    async with producer(kafka) as client:
        for payment in (*mine, *other):
            key = b"%d" % payment.payor_account_no
            await client.send_and_wait(PAYMENT_AVRO, codec.encode(payment), key=key, headers=[("request_id", b"r1")])
        await client.send_and_wait(PAYMENT_AVRO, b"garbage", key=b"100")
        await client.send_and_wait(REVIEW_QUEUE, b"garbage", key=b"garbage")

        async def all_found() -> bool:
            counts = Counter(case["group"].get("payor_account_no") for case in (await own_cases(kafka)).values())
            return counts[100] == counts[101] > 1 and bool(await read_all(kafka, PAYMENT_REJECTED))

        with running(servers, tmp_path / "fraud.log", "fraud", "run", FRAUD_APP=uuid4().hex):
            await until(all_found)
        before = await own_cases(kafka)
        of_account = [case_id for case_id, case in before.items() if case["group"].get("payor_account_no") == 100]
        for case_id in (of_account[0], next(iter(set(before) - {*of_account}))):
            decision = {"case_id": case_id, "decision": "claim", "group": before[case_id]["group"]}
            await client.send_and_wait(REVIEW_DECISIONS, json.dumps(decision).encode(), key=case_id.encode())

    lines = await exported(servers, "--payor", "100")
    kinds = Counter(line["kind"] for line in lines)
    assert kinds == {"payment": 2, "rejected": 1, "case": len(of_account), "decision": 1}
    assert {line["value"]["id"] for line in lines if line["kind"] == "payment"} == {payment.id for payment in mine}
    assert {line["request_id"] for line in lines if line["kind"] in {"payment", "case"}} == {"r1"}
    assert [b64decode(line["value"]) for line in lines if line["kind"] == "rejected"] == [b"garbage"]
    by_payee = Counter(line["kind"] for line in await exported(servers, "--payee", "First/National/200"))
    assert by_payee["payment"] == 2
    assert await exported(servers, "--payor", "102") == []

    monkeypatch.setenv("YES", "1")  # nothing that a setting is called
    status, output = await fraud(servers, "erase", "--payor", "100")
    assert (status, output.partition(" ")[0]) == (1, str(len(of_account)))
    assert await own_cases(kafka) == before
    status, output = await fraud(servers, "erase", "--payor", "100", "--yes")
    assert status == 0
    assert "open" in output
    assert "five years" in output
    assert await own_cases(kafka) == {case_id: case for case_id, case in before.items() if case_id not in of_account}
    kinds = Counter(line["kind"] for line in await exported(servers, "--payor", "100"))
    assert kinds == {"payment": 2, "rejected": 1, "decision": 1}


async def test_an_export_whose_reader_has_seen_enough_ends_quietly(servers: Servers, kafka: KafkaSettings) -> None:
    await make_topics(kafka)
    async with producer(kafka) as client:
        await client.send_and_wait(PAYMENT_JSON, encode_json(Payment(str(uuid4()), "First", 1, 1.0, "ACH", 100)))
    reader, writer = os.pipe()
    os.close(reader)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fraud", "export", "--payor", "100"),
        env=servers.environment,
        stdout=writer,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writer)
    async with asyncio.timeout(60):
        _, complaints = await process.communicate()
    assert (process.returncode, complaints) == (0, b"")


async def own_cases(kafka: KafkaSettings) -> dict[str, Json]:
    """The cases that are there, without garbage and tombstones."""
    last: dict[str, Json] = {}
    for record in await read_all(kafka, REVIEW_QUEUE):
        last.pop(record.key.decode(), None)
        if record.value and record.value[0] == 0:
            last[record.key.decode()] = json.loads(record.value[5:])
    return last


async def test_an_account_has_to_be_named_in_one_way(servers: Servers) -> None:
    for arguments in ((), ("--payor", "1", "--payee", "A/1"), ("--payee", "A"), ("--payee", "/1")):
        assert (await fraud(servers, "export", *arguments))[0] == 2

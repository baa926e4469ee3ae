"""Payments with known truth, sent by locust through the whole way: what is found is what was there."""

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path

from compose.addresses import free_port
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import RAW_TOPICS
from tests.conftest import Servers
from tests.integration.processes import make_topics, read_all, running, until_ready

LOCUST = ["locust", "--locustfile", "locust/locustfile.py", "--headless", "--only-summary", "--stop-timeout", "15"]


async def run(servers: Servers, *module: str, **environment: str) -> tuple[int, str, str]:
    """`python -m MODULE...` to its end: status, output, errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *module, env={**os.environ, **servers.environment, **environment}, stdout=-1, stderr=-1
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_patterns_sent_over_all_addresses_are_found(
    servers: Servers, kafka: KafkaSettings, tmp_path: Path
) -> None:
    await make_topics(kafka)
    port, app, truth = free_port(), uuid.uuid4().hex, str(tmp_path / "truth.ndjson")
    address = f"http://127.0.0.1:{port}"
    view = str(tmp_path / "view.sqlite")
    with (
        running(servers, tmp_path / "service.log", "service", SERVICE_PORT=str(port), QUEUE_VIEW=view),
        running(servers, tmp_path / "fraud.log", "fraud", "run", FRAUD_APP=app),
    ):
        await until_ready(address)
        load = {"LOAD_RATE": "80", "LOAD_SECONDS": "4", "LOAD_SHAPE": "steady", "LOAD_SHARE": "0.5", "LOAD_SEED": "11"}
        status, _, complaints = await run(servers, *LOCUST, "--host", address, TRUTH=truth, **load)
        assert status == 0, complaints
        evaluate = ["fraud", "evaluate", "--format", "json", "--wait", "20"]
        status, out, complaints = await run(servers, *evaluate, TRUTH=truth, FRAUD_APP=app)
    assert (status, complaints) == (0, "")
    evaluation = json.loads(out)
    assert evaluation["total"]["payments"] > 200
    splits = [score for score in evaluation["typologies"] if score["crime"] and "split" in score["typology"]]
    assert sum(score["patterns"] for score in splits) >= 4
    assert {score["recall"]["value"] for score in splits if score["patterns"]} == {1.0}
    assert sum(score["in_time"] for score in splits) == sum(score["patterns"] for score in splits)
    assert all(-20_000 < score["p50_ms"] < 20_000 for score in splits if score["patterns"])
    [structuring] = [score for score in evaluation["rules"] if score["rule"] == "structuring"]
    assert structuring["precision"]["value"] == 1.0


async def test_several_processes_send_payments_of_their_own_and_write_one_truth(
    servers: Servers, kafka: KafkaSettings, tmp_path: Path
) -> None:
    await make_topics(kafka)
    port, truth = free_port(), tmp_path / "truth.ndjson"
    address, view = f"http://127.0.0.1:{port}", str(tmp_path / "view.sqlite")
    with running(servers, tmp_path / "service.log", "service", SERVICE_PORT=str(port), QUEUE_VIEW=view):
        await until_ready(address)
        load = {"LOAD_RATE": "60", "LOAD_SECONDS": "3", "LOAD_SHAPE": "steady", "LOAD_SHARE": "0.5", "LOAD_SEED": "11"}
        status, _, said = await run(servers, *LOCUST, "--processes", "2", "--host", address, TRUTH=str(truth), **load)
    assert status == 0, said
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    runs = [line for line in lines if line["kind"] == "run"]
    assert len({line["run"] for line in runs}) == len(runs) == 2
    ids = [payment_id for line in lines if line["kind"] == "pattern" for payment_id in line["payment_ids"]]
    assert len(ids) == len(set(ids)) > 0
    assert sum(line["payments"] for line in runs) == len(await read_all(kafka, *RAW_TOPICS)) > 0

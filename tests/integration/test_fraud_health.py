"""The health of a fraud process: true of the work that it can do."""

import signal
from pathlib import Path
from uuid import uuid4

import aiohttp

from compose.addresses import free_port
from tests.conftest import Servers
from tests.integration.processes import Json, make_topics, running, until


async def readiness(session: aiohttp.ClientSession, port: int) -> tuple[int, Json]:
    try:
        async with session.get(f"http://127.0.0.1:{port}/health/ready") as response:
            return response.status, await response.json()
    except aiohttp.ClientError:
        return 0, {}


async def test_it_is_ready_with_its_tasks_and_not_while_kafka_is_silent(own_servers: Servers, tmp_path: Path) -> None:
    port = free_port()
    await make_topics(own_servers.kafka_settings)
    hasty = {"FRAUD_COMMIT_INTERVAL_MS": "1"}  # at which it must not stand still
    environment = {"FRAUD_METRICS_PORT": str(port), "FRAUD_APP": uuid4().hex, **hasty}

    async with aiohttp.ClientSession() as session:

        async def ready() -> bool:
            return (await readiness(session, port))[0] == 200

        async def silent() -> bool:
            status, answer = await readiness(session, port)
            return status == 503 and all("Kafka" in check["reason"] for check in answer["checks"].values())

        with running(own_servers, tmp_path / "fraud.log", "fraud", "run", **environment):
            await until(ready, 60)
            async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
                assert 'underten_tasks{stage="by-payor"} 6.0' in await response.text()
            own_servers.kafka.process.send_signal(signal.SIGSTOP)
            await until(silent, 20)
            async with session.get(f"http://127.0.0.1:{port}/health/live") as response:
                assert response.status == 200
            own_servers.kafka.process.send_signal(signal.SIGCONT)
            await until(ready, 60)

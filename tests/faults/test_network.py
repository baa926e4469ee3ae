"""A network between the service and Kafka that is cut, silent or slow."""

import asyncio
from pathlib import Path

import pytest

from tests.conftest import Servers
from tests.integration.bursts import (
    DEADLINE,
    SLACK,
    burst,
    check_truth,
    ids_on_kafka,
    nothing_in_flight,
    serving,
    takes_payments,
)
from tests.integration.processes import until
from tests.integration.serving import end_offsets, ready
from tests.link import Link

PAYMENTS = 150


@pytest.mark.parametrize("fault", ["cut", "silent", "slow"])
async def test_payments_are_answered_in_time_and_truly_whatever_the_network_does(
    servers: Servers, tmp_path: Path, fault: str
) -> None:
    kafka, view = servers.kafka_settings, tmp_path / "view.sqlite"
    async with (
        Link(servers.link_port, servers.far_port).running() as link,
        serving(servers.link_settings, servers.registry_settings, view) as client,
    ):
        await ready(client)
        before = await end_offsets(kafka, "payment_json")
        answers = await burst(client, PAYMENTS)
        under_way = asyncio.create_task(burst(client, PAYMENTS))
        await asyncio.sleep(0)  # the requests go out
        match fault:
            case "cut":
                link.cut()
            case "silent":
                link.silence()
            case "slow":
                link.slow(0.2)
        answers += await under_way
        during = await burst(client, PAYMENTS)
        assert {answer.status for answer in during} == ({201} if fault == "slow" else {503})
        link.mend()
        await until(lambda: takes_payments(client))
        after = await burst(client, PAYMENTS)
        assert {answer.status for answer in after} == {201}
        await until(lambda: nothing_in_flight(client))
        answers += during + after
        assert max(answer.seconds for answer in answers) < DEADLINE + SLACK
        check_truth(answers, await ids_on_kafka(kafka, before))

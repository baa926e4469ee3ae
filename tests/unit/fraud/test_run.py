"""A fraud process while Kafka is away: it waits, and ends when it is told to."""

import asyncio
import os
import signal

import aiohttp
import pytest

from compose.addresses import free_port
from fraud.detection.detect import stages
from fraud.rules import load
from fraud.run import run_stages
from fraud.settings import FraudSettings, Settings
from schemas.kafka.settings import KafkaSettings
from schemas.registry import Registry, RegistrySettings


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_before_it_has_reached_kafka(number: signal.Signals) -> None:
    port = free_port()
    settings = Settings(
        fraud=FraudSettings(fraud_metrics_port=port),
        kafka=KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_port()}"),
    )
    both = stages(load(), Registry(RegistrySettings()), 1000)
    running = asyncio.create_task(run_stages(both.values(), settings))
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/health/live") as response:
                    assert response.status == 200
                    break
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.01)
        os.kill(os.getpid(), number)
        await running

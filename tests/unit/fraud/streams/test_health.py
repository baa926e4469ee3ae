"""The answers of a fraud process before it has reached Kafka; the rest is seen on a real one."""

import socket
from ipaddress import ip_address
from typing import Any

import psutil
import pytest

from fraud.detection.detect import stages
from fraud.rules import load
from fraud.settings import FraudSettings
from fraud.streams.health import REASON_WITHHELD, make_app, served
from fraud.streams.worker import Worker
from schemas.errors import SettingsError
from schemas.kafka.settings import KafkaSettings
from schemas.registry import Registry, RegistrySettings

ADDRESSES = [
    address.address
    for addresses in psutil.net_if_addrs().values()
    for address in addresses
    if address.family is socket.AF_INET and not ip_address(address.address).is_loopback
]
"""Addresses of this machine on its networks: what is sent there does not leave it, and does not come from loopback."""


def workers() -> list[Worker]:
    both = stages(load(), Registry(RegistrySettings()), 1000)
    return [Worker(stage, KafkaSettings(), FraudSettings()) for stage in both.values()]


async def test_it_lives_but_is_not_ready_and_says_of_each_stage_why(aiohttp_client: Any) -> None:
    client = await aiohttp_client(make_app(workers()))
    assert (await client.get("/health/live")).status == 200
    async with client.get("/health/ready") as response:
        assert response.status == 503
        missing = {"ok": False, "reason": "it has not joined its group yet"}
        assert await response.json() == {"status": "not ready", "checks": {"by-payor": missing, "by-payee": missing}}


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "via"])
async def test_whoever_asks_through_a_proxy_is_told_no_reasons(aiohttp_client: Any, header: str) -> None:
    client = await aiohttp_client(make_app(workers()))
    async with client.get("/health/ready", headers={header: "192.0.2.1"}) as response:
        assert response.status == 503
        checks = (await response.json())["checks"]
    assert checks == {name: {"ok": False, "reason": REASON_WITHHELD} for name in ("by-payor", "by-payee")}


@pytest.mark.skipif(not ADDRESSES, reason="this machine has no address but loopback")
async def test_whoever_asks_over_a_network_is_told_no_reasons(aiohttp_client: Any) -> None:
    client = await aiohttp_client(make_app(workers()), server_kwargs={"host": ADDRESSES[0]})
    async with client.get("/health/ready") as response:
        assert response.status == 503
        assert {check["reason"] for check in (await response.json())["checks"].values()} == {REASON_WITHHELD}


async def test_its_metrics_name_the_version(aiohttp_client: Any) -> None:
    client = await aiohttp_client(make_app([]))
    async with client.get("/metrics") as response:
        assert 'underten_build_info{version="' in await response.text()


async def test_an_address_that_is_taken_is_said_with_the_setting(unused_tcp_port: int) -> None:
    settings = FraudSettings(fraud_metrics_port=unused_tcp_port)
    async with served([], settings):
        with pytest.raises(SettingsError, match=f"{unused_tcp_port}.*FRAUD_METRICS_PORT"):
            async with served([], settings):
                pass

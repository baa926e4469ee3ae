"""Servers and services that several test files share."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from schemas.kafka.settings import KafkaSettings
from schemas.registry import RegistrySettings
from tests.integration.processes import make_topics
from tests.integration.secured import Secured, secured_kafka
from tests.integration.serving import Client, serving


@pytest.fixture(scope="package")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A broker that asks who one is; its topics have two partitions."""
    with secured_kafka(tmp_path_factory.mktemp("secured")) as broker:
        asyncio.run(make_topics(broker.settings("PLAINTEXT"), partitions=2))
        yield broker


@pytest.fixture
async def desk(kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a service of its own."""
    async with serving(kafka, registry, tmp_path / "view.sqlite") as client:
        yield client

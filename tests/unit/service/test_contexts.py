"""Everything the service holds: there from its first moment, with nobody to reach, and given back at the end."""

import asyncio
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from compose.addresses import free_port
from schemas.errors import SettingsError
from schemas.kafka.settings import KafkaSettings
from schemas.registry import RegistrySettings
from service.access.authentication import ACCESS
from service.access_settings import AccessSettings
from service.app import make_app
from service.idempotency.deduplicator import DEDUPLICATOR
from service.settings import ServiceSettings, Settings


def alone(view: Path, *, access: AccessSettings | None = None, replay_seconds: int = 600) -> Settings:
    """Settings of a service that reaches neither Kafka nor a registry."""
    return Settings(
        service=ServiceSettings(queue_view=view, deadline=1.0, replay_seconds=replay_seconds),
        access=access or AccessSettings(),
        kafka=KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_port()}"),
        registry=RegistrySettings(schema_registry_url=f"http://127.0.0.1:{free_port()}"),
    )


@pytest.mark.parametrize("replay_seconds", [600, 0])
async def test_it_answers_with_what_is_missing_and_ends(tmp_path: Path, replay_seconds: int) -> None:
    app = make_app(alone(tmp_path / "view.sqlite", replay_seconds=replay_seconds))
    before = asyncio.all_tasks()
    async with TestClient(TestServer(app)) as client:
        async with client.get("/health/live") as response:
            assert response.status == 200
        async with client.get("/health/ready") as response:
            assert response.status == 503
        async with client.get("/review-queue") as response:
            assert (response.status, (await response.json(content_type=None)).get("items")) == (200, [])
        assert (DEDUPLICATOR in app) is bool(replay_seconds)
    assert asyncio.all_tasks() == before


async def test_tokens_are_asked_for_where_a_file_has_some_and_nowhere_else(tmp_path: Path) -> None:
    file = tmp_path / "access.toml"
    file.touch()
    guarded = make_app(alone(tmp_path / "one.sqlite", access=AccessSettings(access_file=file)))
    async with TestClient(TestServer(guarded)) as client, client.get("/review-queue") as response:
        assert (response.status, ACCESS in guarded) == (401, True)
    free = make_app(alone(tmp_path / "two.sqlite"))
    async with TestClient(TestServer(free)) as client, client.get("/session") as response:
        assert (response.status, ACCESS in free) == (200, False)


async def test_a_view_that_cannot_be_opened_is_said_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "view.sqlite").mkdir()
    with pytest.raises(SettingsError, match="queue_view"):
        async with TestServer(make_app(alone(tmp_path / "view.sqlite"))):
            pass

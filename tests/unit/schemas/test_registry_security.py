"""The registry over HTTPS with a password: reached, or said why not. The registry here only asks who it is."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import encode_basic_auth, web
from aiohttp.test_utils import TestServer

from fraud.ksqldb.client import KsqldbSettings
from schemas.errors import RegistryUnavailable, SettingsError
from schemas.registry import Registry, RegistrySettings

PASSWORD = "registry's own 51c2"


async def subjects(request: web.Request) -> web.Response:
    if request.headers.get("Authorization") != encode_basic_auth("underten", PASSWORD):
        return web.Response(text="<html>who are you?</html>", status=401)
    return web.json_response([])


@pytest.fixture
async def registry_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Any]]:
    """Settings that lead there."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    app = web.Application()
    app.router.add_get("/subjects", subjects)
    monkeypatch.setenv("SCHEMA_REGISTRY_PASSWORD", PASSWORD)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    yield {
        "schema_registry_url": f"https://127.0.0.1:{server.port}",
        "schema_registry_username": "underten",
        "schema_registry_ca_file": tmp_path / "ca.pem",
    }
    await server.close()


async def test_a_registry_of_an_own_authority_is_reached_with_a_password(registry_options: dict[str, Any]) -> None:
    await Registry(RegistrySettings(**registry_options)).ping()


async def test_a_wrong_password_is_said_and_not_shown(
    registry_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEMA_REGISTRY_PASSWORD", "wrong 9d81")
    with pytest.raises(RegistryUnavailable, match=r"401.*SCHEMA_REGISTRY_PASSWORD") as refused:
        await Registry(RegistrySettings(**registry_options)).ping()
    assert "9d81" not in str(refused.value)


async def test_another_authority_is_said(registry_options: dict[str, Any], tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    for file in (other, None):
        with pytest.raises(RegistryUnavailable, match="set SCHEMA_REGISTRY_CA_FILE"):
            await Registry(RegistrySettings(**{**registry_options, "schema_registry_ca_file": file})).ping()


async def test_a_file_that_is_no_authority_is_said(registry_options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"SCHEMA_REGISTRY_CA_FILE: README\.md"):
        Registry(RegistrySettings(**{**registry_options, "schema_registry_ca_file": Path("README.md")}))


def test_an_address_holds_no_password() -> None:
    with pytest.raises(SettingsError, match="schema_registry_url must not"):
        RegistrySettings(schema_registry_url="https://underten:secret@registry.example.com")
    with pytest.raises(SettingsError, match="ksqldb_url must not"):
        KsqldbSettings(ksqldb_url="https://underten:secret@ksqldb.example.com")

"""Permissions, by either kind of token."""

import asyncio
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
import stamina
import trustme
from aiohttp.test_utils import TestClient

from compose.addresses import free_port
from compose.stack import StackSettings
from schemas.errors import SettingsError
from schemas.kafka.settings import KafkaSettings
from schemas.registry import RegistrySettings
from service.access.authentication import COOKIE, SCOPES
from service.access.jwk_set import JWT_KEYS
from service.access.opaque_tokens import new_token
from service.access_settings import AccessSettings
from service.app import make_app, routes_by_scope
from service.settings import ServiceSettings, Settings
from tests.conftest import Servers
from tests.integration.processes import running, until
from tests.integration.serving import Client, Server, case, payor_of_this_test, put_cases, ready, settings
from tests.issuer import Key, Published, trusting

ADDRESSES = [
    (route.method, re.sub(r"\{\w+\}", "nobody", route.path.replace("{file}", "underten.css")), scope)
    for scope, routes in routes_by_scope().items()
    for route in routes
    if not route.path.endswith("/events")  # it would never end
]


KEY = Key()

either = pytest.mark.parametrize("kind", ["opaque", "jwt"])


@pytest.fixture
def kind() -> str:
    return "opaque"


@pytest.fixture
def published() -> Published:
    return Published(KEY)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    access_file = tmp_path / "access.toml"
    access_file.touch()
    return access_file


@pytest.fixture
async def client(
    kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path, file: Path, published: Published
) -> AsyncIterator[Client]:
    """A client of a service that takes both kinds."""
    async with published.address() as address:
        access = trusting(address, access_file=file)
        app = make_app(settings(kafka, registry, tmp_path / "view.sqlite", access=access))
        async with TestClient(Server(app)) as test_client:
            await ready(test_client)
            yield test_client


@pytest.fixture
def token(kind: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A new token with these scopes; the file is read again at once."""
    monkeypatch.setattr("service.access.reloaded_file.CHECK_SECONDS", 0.0)

    def make(*scopes: str, name: str = "ann") -> str:
        if kind == "jwt":
            return KEY.token(*scopes, sub=name)
        secret, entry = new_token(name, scopes)  # type: ignore[arg-type]
        extend(file, entry)
        return secret

    return make


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def extend(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


def empty(file: Path) -> None:
    file.write_text("")


@either
async def test_every_address_takes_its_scope_and_no_other(client: Client, token: Callable[..., str]) -> None:
    tokens = {scope: token(scope) for scope in SCOPES}
    for method, path, needed in ADDRESSES:
        async with client.request(method, path) as response:
            assert (response.status == 401) == (needed is not None or (method, path) == ("POST", "/login")) or (
                response.status == 400
            ), (method, path)
        for scope, held in tokens.items():
            async with client.request(method, path, headers=bearer(held)) as response:
                refused = needed is not None and scope != needed
                assert (response.status == 403) == refused, (method, path, scope, response.status)
                if refused:
                    assert f'scope="{needed}"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("wrong", ["nonsense", "", "a.b.c", "\udcff", Key().token("reviews:read")])
async def test_a_token_of_nobody_is_refused_and_told_how(client: Client, wrong: str) -> None:
    async with client.get("/review-queue", headers=bearer(wrong)) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="underten", error="invalid_token"'
        assert "/login" in (await response.json(content_type=None))["detail"]
    async with client.get("/review-queue", headers={"Cookie": f"{COOKIE}={wrong}"}) as response:
        assert response.status == 401


async def test_a_token_that_has_expired_is_refused_and_said_so(client: Client) -> None:
    async with client.get("/review-queue", headers=bearer(KEY.token("reviews:read", exp=1))) as response:
        assert response.status == 401
        assert "expired" in (await response.json(content_type=None))["detail"]


async def test_keys_that_cannot_be_had_are_said_and_had_as_soon_as_they_can(
    kafka: KafkaSettings,
    registry: RegistrySettings,
    tmp_path: Path,
    published: Published,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.access.jwk_set.MIN_FETCH_INTERVAL_SECONDS", 0.1)
    published.status = 500
    async with published.address() as address:
        app = make_app(settings(kafka, registry, tmp_path / "view.sqlite", access=trusting(address)))
        async with TestClient(Server(app)) as client:
            async with client.get("/review-queue", headers=bearer(KEY.token("reviews:read"))) as response:
                assert (response.status, response.headers["Retry-After"]) == (503, "10")
            async with client.get("/health/ready") as response:
                check = (await response.json(content_type=None))["checks"]["jwt_keys"]
                assert (check["ok"], check["required"]) == (False, True)
                assert "metrics:read" in check["reason"], "nobody has a token that could be judged"
            assert "500" in (app[JWT_KEYS].failure or "")
            published.status = 200
            await ready(client)
            async with client.get("/session", headers=bearer(KEY.token("reviews:read"))) as response:
                assert (await response.json())["name"] == "ann"


async def test_what_is_missing_is_said_to_all_and_why_to_who_may_see_the_figures(
    registry: RegistrySettings, tmp_path: Path, file: Path, token: Callable[..., str]
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    access, kafka = AccessSettings(access_file=file), KafkaSettings(kafka_bootstrap_servers=nowhere)
    app = make_app(settings(kafka, registry, tmp_path / "view.sqlite", access=access))
    async with TestClient(Server(app)) as client:

        async def is_told_why(**headers: str) -> bool:
            async with client.get("/health/ready", headers=headers) as response:
                text = await response.text()
                assert (response.status, json.loads(text)["checks"]["kafka"]["ok"]) == (503, False)
                return nowhere in text

        await until(lambda: is_told_why(**bearer(token("metrics:read"))))
        assert not await is_told_why()
        assert not await is_told_why(**bearer(token("reviews:read")))


async def test_the_file_is_read_again_and_a_bad_one_changes_nothing(
    client: Client, token: Callable[..., str], file: Path
) -> None:
    secret = token("reviews:read")

    async def status(expected: int) -> bool:
        async with client.get("/review-queue", headers=bearer(secret)) as response:
            return response.status == expected

    assert await status(200)
    extend(file, "name = 5\n")
    assert await status(200)
    empty(file)
    expired = token("reviews:read", name="bob")
    extend(file, "expires = 2020-01-01T00:00:00Z\n")
    assert await status(401)
    async with client.get("/review-queue", headers=bearer(expired)) as response:
        assert response.status == 401


@either
async def test_a_browser_signs_in_and_other_sites_cannot_use_that(
    client: Client, token: Callable[..., str], kafka: KafkaSettings
) -> None:
    secret = token("reviews:read", "reviews:write")
    async with client.post("/login", json={"token": "nonsense"}) as response:
        assert response.status == 401
    async with client.post("/login", json={"token": secret}) as response:
        assert response.status == 204
        cookie = response.cookies[COOKIE]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    async with client.get("/session") as response:
        assert await response.json() == {"name": "ann", "scopes": ["reviews:read", "reviews:write"], "samples": True}
    about = case(payor_of_this_test())
    await put_cases(kafka, about)
    address = f"/review-queue/{about['case_id']}"

    async def there() -> bool:
        async with client.get(address) as response:
            return response.status == 200

    await until(there)
    wish = {"decision": "claim"}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://elsewhere.example"}, {}):
        async with client.post(f"{address}/decisions", json=wish, headers=headers) as response:
            assert response.status == 403
    other = {**wish, "reviewer": "bob"}
    async with client.post(f"{address}/decisions", json=other, headers={"Sec-Fetch-Site": "same-origin"}) as response:
        assert (response.status, (await response.json(content_type=None))["field"]) == (422, "reviewer")
    async with client.post(f"{address}/decisions", json=wish, headers={"Sec-Fetch-Site": "same-origin"}) as response:
        assert (response.status, (await response.json())["reviewer"]) == (201, "ann")
    await client.post("/logout")
    async with client.get("/session") as response:
        assert response.status == 401


@either
async def test_no_other_site_makes_a_payment_by_cookie(client: Client, token: Callable[..., str]) -> None:
    async with client.post("/login", json={"token": token("payments:write")}) as response:
        assert response.status == 204
    for site in ("cross-site", "same-site"):
        async with client.get("/payment_json", headers={"Sec-Fetch-Site": site}) as response:
            assert response.status == 403
    async with client.get("/payment_json") as response:
        assert response.status == 403
    async with client.get("/payment_json", headers={"Sec-Fetch-Site": "none"}) as response:
        assert response.status == 200


@pytest.mark.parametrize("path", ["/login", "/logout"])
async def test_no_other_site_signs_anybody_in_or_out(client: Client, token: Callable[..., str], path: str) -> None:
    body = {"token": token("reviews:read")}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://elsewhere.example"}, {"Origin": "null"}):
        async with client.post(path, json=body, headers=headers) as response:
            assert (response.status, response.cookies) == (403, {})
    async with client.post(path, json=body, headers={"Sec-Fetch-Site": "same-origin"}) as response:
        assert response.status == 204


async def test_who_follows_the_queue_is_told_nothing_once_the_token_has_expired(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.review.events.PERMIT_SECONDS", 0.1)
    token = KEY.token("reviews:read", exp=int(time.time()) + 2 - 10)
    async with client.get("/review-queue/events", headers=bearer(token)) as response:
        assert response.status == 200
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        async with asyncio.timeout(20):
            assert b"event: ready" in await response.content.read()  # it ends


async def test_a_token_that_no_cookie_can_hold_is_said(client: Client) -> None:
    async with client.post("/login", json={"token": KEY.token("reviews:read", groups=["x" * 100] * 40)}) as response:
        assert response.status == 422
        assert "4000 bytes" in (await response.json(content_type=None))["detail"]


async def test_without_tokens_no_other_site_is_served(
    kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    app = make_app(settings(kafka, registry, tmp_path / "view.sqlite"))
    async with TestClient(Server(app)) as client:
        for site in ("cross-site", "same-site"):
            for method in ("GET", "POST"):
                headers = {"Sec-Fetch-Site": site}
                async with client.request(method, "/payment_json", headers=headers) as response:
                    assert response.status == 403
        for host in ("rebound.example", "rebound.example:8000", "127.0.0.1.example", "", "[::"):
            async with client.get("/review-queue", headers={"Host": host}) as response:
                assert response.status in {421, 400}, host
        for host in ("localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]"):
            async with client.get("/health/live", headers={"Host": host}) as response:
                assert response.status == 200, host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "bank.example"])
def test_without_tokens_no_other_machine_is_served(host: str, file: Path) -> None:
    service = ServiceSettings(service_host=host)
    with pytest.raises(SettingsError, match="access_file"):
        Settings(service=service)
    Settings(service=service, access=AccessSettings(access_file=file))
    Settings(service=service, access=trusting("https://id.example.com/keys"))
    Settings(service=service, access=AccessSettings(open_access=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_this_machine_is_served_without_tokens(host: str) -> None:
    Settings(service=ServiceSettings(service_host=host))


def test_https_is_spoken_with_a_certificate(servers: Servers, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    port = free_port()
    environment = {
        "SERVICE_PORT": str(port),
        "QUEUE_VIEW": str(tmp_path / "view.sqlite"),
        "SERVICE_TLS_CERTIFICATE": str(certificate),
        "SERVICE_TLS_KEY": str(key),
    }
    url = StackSettings(service_port=port, service_tls_certificate=certificate).service_url
    with running(servers, tmp_path / "service.log", "service", **environment), httpx.Client(verify=trusted) as client:
        for attempt in stamina.retry_context(on=httpx.ConnectError, timeout=30, wait_max=0.5, attempts=None):
            with attempt:
                answer = client.get(f"{url}/health/live")
    assert answer.json() == {"status": "live"}


def test_a_certificate_that_is_none_is_said(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.touch()
    with pytest.raises(SettingsError, match="service_tls_certificate"):
        ServiceSettings(service_tls_certificate=nothing, service_tls_key=nothing).tls()
    with pytest.raises(SettingsError, match="together"):
        ServiceSettings(service_tls_certificate=nothing)

"""Requests that pass the guard of a service without tokens, on a port of loopback."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from schemas.errors import SettingsError
from service.access.authentication import ACCESS, IDENTITY, Access, BadToken, Identity, Scope
from service.access.guard import make_guard, passes_at_once
from service.access_settings import AccessSettings
from service.http.middleware import make_middleware
from service.http.problems import Problem
from service.metrics import Metrics
from service.settings import SETTINGS, Settings

Client = TestClient[Any, Any]

DECISIONS = "/review-queue/decisions"
OURS = ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000"]
ADDRESSES = ["192.0.2.1", "192.0.2.1:8000", "[2001:db8::1]:8000"]
NAMES = ["underten.example.com", "underten.example.com.", "Underten.Example.com:8000", "service:8000"]
STRANGERS = [
    "evil.example",
    "evil.example@localhost",
    "localhost@evil.example",
    "evil.example:8000",
    "underten.example.com.evil.example",
    "",
    "null",
]

OPEN = AccessSettings(open_access=True, allowed_hosts=("underten.example.com", "service"))


async def answer(request: web.Request) -> web.Response:
    return web.Response(status=201 if request.method == "POST" else 200)


@pytest.fixture
def access() -> AccessSettings:
    return OPEN


@pytest.fixture
async def client(access: AccessSettings) -> AsyncIterator[Client]:
    routes: dict[Scope | None, list[web.RouteDef]] = {
        "reviews:read": [web.get("/review-queue", answer)],
        "reviews:write": [web.post(DECISIONS, answer)],
    }
    app = web.Application(middlewares=[make_middleware(Metrics(), make_guard(routes))])
    app[SETTINGS] = Settings(access=access)
    app.add_routes([route for definitions in routes.values() for route in definitions])
    async with TestClient(TestServer(app)) as connected:
        yield connected


@pytest.mark.parametrize("host", [*OURS, *ADDRESSES, *NAMES])
async def test_with_open_access_addresses_and_allowed_names_are_served(client: Client, host: str) -> None:
    async with client.get("/review-queue", headers={"Host": host}) as response:
        assert response.status == 200
    async with client.post(DECISIONS, headers={"Host": host, "Origin": f"http://{host}"}) as response:
        assert response.status == 201


@pytest.mark.parametrize("host", STRANGERS)
async def test_with_open_access_a_page_that_leads_its_own_name_here_reads_and_decides_nothing(
    client: Client, host: str
) -> None:
    async with client.get("/review-queue", headers={"Host": host}) as response:
        assert response.status == 421
        assert "ALLOWED_HOSTS" in (await response.json(content_type=None))["detail"]
    headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    async with client.post(DECISIONS, headers=headers) as response:
        assert response.status == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "https://evil.example:8000", "null", ""])
async def test_nor_does_it_through_a_proxy_that_gives_the_service_its_own_name(client: Client, origin: str) -> None:
    headers = {"Host": "service:8000", "Origin": origin, "Sec-Fetch-Site": "same-origin"}
    async with client.post(DECISIONS, headers=headers) as response:
        assert response.status == 403


async def test_a_page_of_ours_may_be_called_otherwise_than_a_proxy_calls_the_service(client: Client) -> None:
    headers = {"Host": "service:8000", "Origin": "https://underten.example.com", "Sec-Fetch-Site": "same-origin"}
    async with client.post(DECISIONS, headers=headers) as response:
        assert response.status == 201


@pytest.mark.parametrize("access", [AccessSettings(allowed_hosts=("underten.example.com",))])
async def test_without_open_access_a_proxys_name_is_served_and_no_address_but_loopback(client: Client) -> None:
    statuses = {}
    for host in (*OURS, *ADDRESSES, "underten.example.com", "service"):
        async with client.get("/review-queue", headers={"Host": host}) as response:
            statuses[host] = response.status
    served = {host for host, status in statuses.items() if status == 200}
    assert served == {*OURS, "underten.example.com"}
    assert set(statuses.values()) == {200, 421}


@pytest.mark.parametrize("name", ["https://underten.example.com", "underten.example.com:443", "*.example.com", "*", ""])
def test_an_allowed_host_is_a_name_and_nothing_more(name: str) -> None:
    with pytest.raises(SettingsError, match="allowed_hosts"):
        AccessSettings(allowed_hosts=(name,))


class Tokens:
    async def identify(self, token: str) -> Identity:
        if token != "reader":
            raise BadToken("nobody has this token")
        return Identity("ann", frozenset({"reviews:read"}))

    def recall(self, token: str) -> Identity | None:
        return Identity("ann", frozenset({"reviews:read"})) if token == "reader" else None


async def show(request: web.Request) -> web.Response:
    return web.Response(text="shown")


GUARDED: dict[Scope | None, list[web.RouteDef]] = {
    "reviews:read": [web.get("/queue", show)],
    "reviews:write": [web.post("/queue", show)],
    None: [web.get("/page", show), web.post("/login", show)],
}
BEARER = {"Authorization": "Bearer reader"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/queue", BEARER, 200),
        ("HEAD", "/queue", BEARER, 200),
        ("POST", "/queue", BEARER, 403),
        ("GET", "/queue", {}, 401),
        ("GET", "/page", {}, 200),
        ("GET", "/nowhere", {}, 404),
        ("PUT", "/queue", {}, 405),
        ("POST", "/login", {"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
async def test_with_tokens_each_route_takes_its_scope(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    app = web.Application(middlewares=[make_middleware(Metrics(), make_guard(GUARDED))])
    app[SETTINGS] = Settings()
    app[ACCESS] = Access(Tokens(), None)
    app.add_routes([route for routes in GUARDED.values() for route in routes])
    async with TestClient(TestServer(app)) as client, client.request(method, path, headers=headers) as response:
        assert response.status == status


@pytest.mark.parametrize(
    ("access", "headers", "scope", "passes"),
    [
        (Access(Tokens(), None), BEARER, "reviews:read", True),
        (Access(Tokens(), None), BEARER, "payments:write", False),
        (Access(Tokens(), None), {"Authorization": "Bearer stranger"}, "reviews:read", False),
        (Access(Tokens(), None), {"Cookie": "underten_session=reader"}, "payments:write", False),
        (Access(Tokens(), None), {}, "reviews:read", False),
        (None, {}, "payments:write", True),
        (None, {"Sec-Fetch-Site": "cross-site"}, "payments:write", False),
    ],
)
def test_at_once_pass_those_alone_of_whom_nobody_has_to_be_asked(
    access: Access | None, headers: dict[str, str], scope: Scope, *, passes: bool
) -> None:
    app = web.Application()
    app[SETTINGS] = Settings()
    if access is not None:
        app[ACCESS] = access
    request = make_mocked_request("POST", "/payment_json", headers={"Host": "localhost", **headers}, app=app)
    assert passes_at_once(request, scope) is passes
    identity = request.get(IDENTITY)
    assert (identity is not None) is (passes and access is not None)


def test_a_name_that_leads_here_from_outside_does_not_pass_at_once() -> None:
    app = web.Application()
    app[SETTINGS] = Settings()
    with pytest.raises(Problem):
        passes_at_once(make_mocked_request("POST", "/", headers={"Host": "evil.example"}, app=app), "payments:write")

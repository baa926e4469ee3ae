"""Signing in: a token becomes a cookie, if it is one and fits."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from service.access import login
from service.access.authentication import ACCESS, COOKIE, Access, BadToken, Identity
from service.http.middleware import make_middleware
from service.metrics import Metrics
from service.settings import SETTINGS, Settings


class Tokens:
    async def identify(self, token: str) -> Identity:
        if not token.startswith("good"):
            raise BadToken("nobody has this token")
        return Identity("ann", frozenset())


async def anybody(_: web.Request) -> None:
    """Let everybody in."""


def app(*, controlled: bool = True) -> web.Application:
    application = web.Application(middlewares=[make_middleware(Metrics(), anybody)])
    application[SETTINGS] = Settings()
    if controlled:
        application[ACCESS] = Access(Tokens(), None)
    application.add_routes([web.post("/login", login.sign_in), web.post("/logout", login.sign_out)])
    return application


@pytest.mark.parametrize(
    ("body", "controlled", "status"),
    [
        ({"token": "good"}, True, 204),
        ({"token": "bad"}, True, 401),
        ({"token": "good" * 1100}, True, 422),
        ({"token": 3}, True, 400),
        ({"token": "good"}, False, 404),
    ],
)
async def test_a_token_signs_in_where_it_is_good_and_fits_into_a_cookie(
    body: object, status: int, *, controlled: bool
) -> None:
    async with (
        TestClient(TestServer(app(controlled=controlled))) as client,
        client.post("/login", json=body) as response,
    ):
        assert response.status == status
        assert (COOKIE in response.cookies) == (status == 204)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"token": "good", "more": ' + b"[" * 5_000])
async def test_bytes_that_are_no_token_are_malformed(body: bytes) -> None:
    async with TestClient(TestServer(app())) as client, client.post("/login", data=body) as response:
        assert response.status == 400


async def test_no_script_and_no_other_site_gets_the_cookie_and_it_is_secure_behind_https() -> None:
    async with TestClient(TestServer(app())) as client:
        headers = {"X-Forwarded-Proto": "https"}
        async with client.post("/login", json={"token": "good"}, headers=headers) as response:
            cookie = response.cookies[COOKIE]
        assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Strict", True)
        async with client.post("/logout") as response:
            assert response.cookies[COOKIE]["max-age"] == "0"


async def test_a_body_of_nothing_but_brackets_is_refused_as_any_other_that_is_no_token() -> None:
    async with TestClient(TestServer(app())) as client:
        body = b'{"x": ' + b"[" * (login.MAX_BODY_BYTES - 10)
        async with client.post("/login", data=body) as response:
            assert response.status == 400

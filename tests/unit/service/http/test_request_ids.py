"""Request ids: whose they are, and where they show."""

import json
import logging
from typing import Any

import pytest
import structlog
from aiohttp import web

from schemas.logs import LogSettings, configure_logs
from service.http import request_ids
from service.http.middleware import make_middleware
from service.http.request_ids import HEADER
from service.metrics import Metrics
from tests.integration.serving import Client

pytestmark = pytest.mark.asyncio


async def whole(_: web.Request) -> web.Response:
    return web.Response(text="whole")


async def streamed(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"streamed")
    return response


async def broken(_: web.Request) -> web.Response:
    raise ValueError("nobody expected this")


async def anybody(_: web.Request) -> None:
    """A guard that lets everybody in."""


@pytest.fixture
async def client(aiohttp_client: Any) -> Client:
    """An application with what surrounds every view."""
    app = web.Application(middlewares=[make_middleware(Metrics(), anybody)])
    app.on_response_prepare.append(request_ids.add_header)
    app.router.add_get("/whole", whole)
    app.router.add_get("/streamed", streamed)
    app.router.add_get("/broken", broken)
    client: Client = await aiohttp_client(app)
    return client


async def ask(client: Client, path: str, request_id: str | None = None) -> str:
    async with client.get(path, headers={HEADER: request_id} if request_id is not None else {}) as response:
        await response.read()
        return response.headers[HEADER]


async def test_an_answer_has_the_clients_request_id(client: Client) -> None:
    for request_id in ("a", "0b7e9a52-31f5-4b0e-9f0e-5a1d2c3b4e51", "~" * 128):
        assert await ask(client, "/whole", request_id) == request_id


async def test_an_id_that_is_empty_too_long_or_not_visible_ascii_is_replaced(client: Client) -> None:
    for request_id in ("", "~" * 129, "two words", "tab\tbed", "caf\u00e9"):
        assert await ask(client, "/whole", request_id) not in ("", request_id)


async def test_ids_made_here_are_different(client: Client) -> None:
    assert len({await ask(client, "/whole") for _ in range(3)}) == 3


async def test_streams_and_errors_have_it_too(client: Client) -> None:
    for path in ("/streamed", "/broken", "/nowhere"):
        assert await ask(client, path, "mine") == "mine"


async def test_a_request_that_aiohttp_answers_itself_has_one(client: Client) -> None:
    async with client.get("/whole", headers={"Expect": "miracles"}) as response:
        assert response.status == 417
        assert response.headers[HEADER]


async def test_every_log_line_of_a_request_names_it_and_no_other_line_does(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    try:
        configure_logs(LogSettings(log_format="json"))
        await ask(client, "/broken", "mine")
        await ask(client, "/whole", "other")
        logging.getLogger("elsewhere").warning("beside")
    finally:
        root.handlers, root.level = before, level
        structlog.reset_defaults()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    events = ("unexpected error", "GET /broken", "GET /whole", "beside")
    assert [[event in line["event"] for event in events].index(True) for line in lines] == [0, 1, 2, 3]
    assert [line.get("request_id") for line in lines] == ["mine", "mine", "other", None]

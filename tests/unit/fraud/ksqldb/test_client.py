"""The client, of servers that answer as ksqlDB does, and of others."""

from typing import Any

import pytest
from aiohttp import web

from fraud.ksqldb.client import KsqldbSettings, KsqldbUnavailable, connect
from schemas.errors import SettingsError


async def test_an_unreachable_server_is_an_error_that_names_its_address() -> None:
    async with connect(KsqldbSettings(ksqldb_url="http://127.0.0.1:9")) as client:
        with pytest.raises(KsqldbUnavailable, match=r"127\.0\.0\.1:9"):
            await client.info()
        with pytest.raises(KsqldbUnavailable):
            await client.wait(0.2)


@pytest.mark.parametrize(
    ("status", "error"), [(500, KsqldbUnavailable), (503, KsqldbUnavailable), (401, SettingsError)]
)
async def test_a_server_that_fails_is_told_apart_from_one_that_refuses_us(
    status: int, error: type[Exception], aiohttp_server: Any
) -> None:
    async def fail(request: web.Request) -> web.Response:
        return web.json_response({"message": "no"}, status=status)

    app = web.Application()
    app.add_routes([web.post("/ksql", fail)])
    running = await aiohttp_server(app)
    async with connect(KsqldbSettings(ksqldb_url=str(running.make_url("/")))) as client:
        with pytest.raises(error):
            await client.queries()


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(
    "body", [b"null", b"[]", b"[1]", b'["no"]', b'[{"queries": [{}]}]', b"7", b"\xff", b"[" * 100_000]
)
async def test_an_answer_that_is_none_of_ksqldbs_is_an_error_that_names_the_server(
    body: bytes, status: int, aiohttp_server: Any
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, status=status)

    app = web.Application()
    app.add_routes([web.post("/ksql", answer), web.get("/info", answer)])
    running = await aiohttp_server(app)
    async with connect(KsqldbSettings(ksqldb_url=str(running.make_url("/")))) as client:
        for asking in (client.info, client.queries, client.sources):
            with pytest.raises(KsqldbUnavailable, match=client.url):
                await asking()


async def test_without_an_address_the_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="KSQLDB_URL"):
        async with connect(KsqldbSettings()):
            pass


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_time_that_would_never_be_over_is_refused_by_name(seconds: float) -> None:
    with pytest.raises(SettingsError, match="ksqldb_timeout"):
        KsqldbSettings(ksqldb_timeout=seconds)

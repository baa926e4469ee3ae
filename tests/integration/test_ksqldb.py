"""The client and the deployment, against a server that answers as ksqlDB's documentation has it, and a live one."""

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from fraud.deployment import deploy, health
from fraud.ksqldb import Ksqldb, KsqldbSettings, KsqldbUnavailable, StatementError, connect
from fraud.rules import load
from fraud.statements import statements
from schemas.errors import SettingsError


class Answers:
    """ksqlDB's answers to the statements of a test."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.sources: dict[str, dict[str, Any]] = {}
        self.queries: list[dict[str, Any]] = []
        self.failing = ""

    async def info(self, request: web.Request) -> web.Response:
        return web.json_response({"KsqlServerInfo": {"version": "7.9.0", "serverStatus": "RUNNING"}})

    async def ksql(self, request: web.Request) -> web.Response:
        body = await request.json()
        statement = body["ksql"]
        assert body["streamsProperties"] == {"ksql.streams.auto.offset.reset": "earliest"}
        self.said.append(statement)
        if self.failing and self.failing in statement:
            answer = {
                "@type": "statement_error",
                "error_code": 40001,
                "message": "line 2:3: bad",
                "statementText": statement,
            }
            return web.json_response(answer, status=400)
        return web.json_response([self.entity(statement)])

    def entity(self, statement: str) -> dict[str, Any]:
        match statement.split():
            case ["LIST", "STREAMS;"]:
                return {
                    "@type": "streams",
                    "streams": [each for each in self.sources.values() if each["type"] == "STREAM"],
                }
            case ["LIST", "TABLES;"]:
                return {
                    "@type": "tables",
                    "tables": [each for each in self.sources.values() if each["type"] == "TABLE"],
                }
            case ["LIST", "QUERIES;"]:
                return {"@type": "queries", "queries": self.queries}
            case ["DESCRIBE", name, "EXTENDED;"]:
                return {"@type": "sourceDescription", "sourceDescription": self.sources[name]}
            case ["CREATE", kind, name, *_]:
                self.sources[name.upper()] = {
                    "name": name.upper(),
                    "type": kind,
                    "statement": statement,
                    "writeQueries": [],
                }
            case ["INSERT", *_]:
                self.queries.append({"id": statement.split("'")[1].upper(), "queryString": statement, "sinks": []})
            case ["DROP", _, name, *_]:
                del self.sources[name.rstrip(";")]
            case ["TERMINATE", query]:
                self.queries = [each for each in self.queries if each["id"] != query.rstrip(";")]
        return {"@type": "currentStatus", "commandStatus": {"status": "SUCCESS", "message": "created"}}


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def server(answers: Answers, aiohttp_server: Any) -> AsyncIterator[Ksqldb]:
    app = web.Application()
    app.add_routes([web.get("/info", answers.info), web.post("/ksql", answers.ksql)])
    running = await aiohttp_server(app)
    async with connect(KsqldbSettings(ksqldb_url=str(running.make_url("/")))) as client:
        yield client


async def deployed(server: Ksqldb, *, replace: bool = False, changed: bool = False) -> list[str]:
    rules = load()
    found = statements(rules)
    if changed:
        found = [
            type(each)(each.file, each.line, each.text.replace("COUNT(*) >= 3", "COUNT(*) >= 4")) for each in found
        ]
    return [done.did async for done in deploy(server, found, replace=replace)]


async def test_what_is_missing_is_created_and_what_is_there_is_left_alone(server: Ksqldb, answers: Answers) -> None:
    everything = len(statements(load()))
    assert await deployed(server) == ["created"] * everything
    said = len(answers.said)
    assert await deployed(server) == ["unchanged"] * everything
    assert not [statement for statement in answers.said[said:] if statement.startswith(("CREATE", "INSERT", "DROP"))]


async def test_what_differs_is_named_and_replaced_only_when_asked(server: Ksqldb, answers: Answers) -> None:
    await deployed(server)
    assert (await deployed(server, changed=True)).count("differs") == 1
    assert (await deployed(server, changed=True, replace=True)).count("replaced") == 1
    assert ">= 4" in answers.sources["KSQLDB_JUST_BELOW"]["statement"]
    assert "differs" not in await deployed(server, changed=True)


async def test_a_statements_error_names_its_file_and_line(server: Ksqldb, answers: Answers) -> None:
    answers.failing = "ksqldb_velocity"
    with pytest.raises(StatementError, match=r"ksql/15_velocity\.sql, line 3: line 2:3: bad"):
        await deployed(server)


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


async def test_without_an_address_the_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="KSQLDB_URL"):
        async with connect(KsqldbSettings()):
            pass


@pytest.mark.skipif("KSQLDB_URL" not in os.environ, reason="KSQLDB_URL names no live ksqlDB")
async def test_a_live_ksqldb_takes_every_statement_and_runs_every_query() -> None:
    async with connect(KsqldbSettings(ksqldb_url=os.environ["KSQLDB_URL"])) as client:
        await client.wait(60)
        await deployed(client)
        assert set(await deployed(client)) == {"unchanged"}
        assert {query.state for query in await health(client)} == {"RUNNING"}

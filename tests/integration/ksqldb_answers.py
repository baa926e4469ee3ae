"""A server that answers as ksqlDB's documentation has it; what its queries have found, a test puts on the topics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


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


@asynccontextmanager
async def answering(answers: Answers) -> AsyncIterator[str]:
    """The address of a server that answers so."""
    app = web.Application()
    app.add_routes([web.get("/info", answers.info), web.post("/ksql", answers.ksql)])
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")

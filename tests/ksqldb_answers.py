"""A server that answers as ksqlDB's documentation has it; what its queries have found, a test puts on the topics."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer

from fraud.ksqldb.statements import statements
from fraud.rules import load

READ = {"kafkaTopic": "t", "offsets": [{"partition": 0, "logStartOffset": 0, "logEndOffset": 9, "consumerOffset": 9}]}


class Answers:
    """ksqlDB's answers to the statements of a test."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.sources: dict[str, dict[str, Any]] = {}
        self.queries: list[dict[str, Any]] = []
        self.failing = "$^"
        """A pattern of the statements that are refused."""
        self.fresh = False
        """Whether no query has committed an offset yet."""

    async def info(self, request: web.Request) -> web.Response:
        return web.json_response({"KsqlServerInfo": {"version": "7.9.0", "serverStatus": "RUNNING"}})

    async def ksql(self, request: web.Request) -> web.Response:
        body = await request.json()
        statement = body["ksql"]
        assert body["streamsProperties"] == {"ksql.streams.auto.offset.reset": "earliest"}
        self.statements.append(statement)
        if re.search(self.failing, statement):
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
                    "streams": [source for source in self.sources.values() if source["type"] == "STREAM"],
                }
            case ["LIST", "TABLES;"]:
                return {
                    "@type": "tables",
                    "tables": [source for source in self.sources.values() if source["type"] == "TABLE"],
                }
            case ["LIST", "QUERIES;"]:
                return {"@type": "queries", "queries": self.queries}
            case ["DESCRIBE", name, "EXTENDED;"]:
                return {"@type": "sourceDescription", "sourceDescription": self.sources[name] | self.written(name)}
            case ["CREATE", kind, name, *_]:
                self.sources[name.upper()] = {"name": name.upper(), "type": kind, "statement": statement}
                if "SELECT" in statement:
                    self.start(f"C{kind[0]}AS_{name.upper()}_{len(self.statements)}", statement, name.upper())
            case ["INSERT", "INTO", name, *_]:
                self.start(statement.split("'")[1].upper(), statement, name.upper())
            case ["DROP", _, name, *_]:
                del self.sources[name.rstrip(";")]
            case ["TERMINATE", query]:
                self.queries = [source for source in self.queries if source["id"] != query.rstrip(";")]
        return {"@type": "currentStatus", "commandStatus": {"status": "SUCCESS", "message": "created"}}

    def start(self, name: str, statement: str, sink: str) -> None:
        """Run a query, which has read everything at once."""
        self.queries.append({"id": name, "queryString": statement, "sinks": [sink], "state": "RUNNING"})

    def written(self, sink: str) -> dict[str, Any]:
        """The answer to DESCRIBE about the queries that write a stream or table."""
        queries = [query for query in self.queries if sink in query["sinks"]]
        return {
            "writeQueries": queries,
            "queryOffsetSummaries": [
                {
                    "groupId": f"_confluent-ksql-default_query_{query['id']}",
                    "topicSummaries": [] if self.fresh else [READ],
                }
                for query in queries
            ],
        }

    def deploy(self) -> Self:
        """Have every shipped rule already."""
        for source in statements(load()):
            self.entity(source.text)
        return self


@asynccontextmanager
async def answering(answers: Answers) -> AsyncIterator[str]:
    """The address of a server that answers so."""
    app = web.Application()
    app.add_routes([web.get("/info", answers.info), web.post("/ksql", answers.ksql)])
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")

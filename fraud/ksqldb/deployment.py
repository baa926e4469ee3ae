"""Putting the SQL of `ksql/` on a ksqlDB server, and seeing how it is doing there.

Deployment is idempotent: what is missing is created, what is the same is left alone, what differs is named, or replaced
if that is asked for. Replacing drops a table with its topic (the stream that all tables read: with all of them), and
reads the payments from their beginning.
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fraud.ksqldb.client import Ksqldb, Query, StatementError
from fraud.ksqldb.statements import Statement

_WORDS = re.compile(r"'[^']*'|[\w.]+|[<>=+*/-]+")
_OPTIONS = re.compile(r"\bWITH\s*\([^)]*\)", re.IGNORECASE)

Did = Literal["created", "unchanged", "replaced", "differs"]


@dataclass(frozen=True)
class Deployed:
    """Outcome for a statement."""

    statement: Statement
    did: Did

    @property
    def name(self) -> str:
        """Name of the thing that it creates, or of the query that it starts."""
        return " ".join(self.statement.creates or ("QUERY", self.statement.query_id or ""))


@dataclass(frozen=True)
class QueryHealth:
    """A persistent query on the server; `lag` are records that it has not read, None before it has committed any."""

    id: str
    state: str
    lag: int | None


def meaning(sql: str) -> list[str]:
    """Words of a statement without everything that ksqlDB rewrites: options, aliases' AS, qualifiers."""
    words = [word.upper() for word in _WORDS.findall(_OPTIONS.sub("", sql))]
    bare = [word if word[0].isdigit() else word.rpartition(".")[2] for word in words if word != "AS"]
    same = ["STRING" if word == "VARCHAR" else word for word in bare]
    return [word for word, before in zip(same, ["", *same], strict=False) if word != before]


async def deploy(server: Ksqldb, statements: Sequence[Statement], *, replace: bool) -> AsyncIterator[Deployed]:
    """Run what is missing, in order; raises StatementError with file and line, KsqldbUnavailable."""
    differing = await _differing(server, statements)
    to_replace = _dependents(statements, differing) if replace else []
    for statement in reversed(to_replace):
        await _drop(server, statement)
    sources, queries = await server.sources(), {query.id for query in await server.queries()}
    for statement in statements:
        if statement in differing and not replace:
            yield Deployed(statement, "differs")
        elif _is_there(statement, sources, queries):
            yield Deployed(statement, "unchanged")
        elif (text := await _text_to_run(server, statement)) is None:
            yield Deployed(statement, "differs")
        else:
            await _execute(server, statement, text)
            yield Deployed(statement, "replaced" if statement in to_replace else "created")


async def _differing(server: Ksqldb, statements: Sequence[Statement]) -> list[Statement]:
    """The statements of which the server has another version, or a table or stream that no query writes any more."""
    sources, queries = await server.sources(), {query.id: query for query in await server.queries()}
    differing = []
    for statement in statements:
        if not _is_there(statement, sources, queries):
            continue
        text = await _deployed_text(server, statement, queries)
        if text is None or meaning(text) != meaning(statement.text):
            differing.append(statement)
    return differing


async def _deployed_text(server: Ksqldb, statement: Statement, queries: Mapping[str, Query]) -> str | None:
    """The server's version of a statement, None where a query is to write it and none does."""
    running = _running(statement, queries)
    if statement.query and running is None:
        return None
    if statement.creates:
        return (await server.describe(statement.creates[1])).statement
    return queries[running].query_string if running else None


def _is_there(statement: Statement, sources: Any, queries: Any) -> bool:
    return statement.creates[1] in sources if statement.creates else _running(statement, queries) is not None


def _running(statement: Statement, queries: Iterable[str]) -> str | None:
    """The id of the query that it has started."""
    return next((name for name in queries if statement.query and re.fullmatch(statement.query, name)), None)


def _dependents(statements: Sequence[Statement], differing: Sequence[Statement]) -> list[Statement]:
    """Statements to drop for those to change: a rule's table alone; else every query, and the streams that changed."""
    if all(statement.creates and statement.creates[0] == "TABLE" for statement in differing):
        return list(differing)
    return [statement for statement in statements if statement.query or statement in differing]


async def _drop(server: Ksqldb, statement: Statement) -> None:
    """End the queries that write it and drop it, with its topic unless others write that; missing is fine."""
    if statement.creates is None:
        if running := _running(statement, [query.id for query in await server.queries()]):
            await server.execute(f"TERMINATE {running};")
        return
    kind, name = statement.creates
    if name not in await server.sources():
        return
    for query in (await server.describe(name)).write_queries:
        await server.execute(f"TERMINATE {query.id};")
    # Whether it is written now does not matter: an attempt before this one may have ended the query and no more.
    await server.execute(f"DROP {kind} {name}{' DELETE TOPIC' if statement.query else ''};")


async def _text_to_run(server: Ksqldb, statement: Statement) -> str | None:
    """A statement with its query's number; None for an INSERT whose sink has lost the query that gives it one."""
    if statement.sink is None:
        return statement.text
    queries = (await server.describe(statement.sink)).write_queries
    numbers = [query.id.rpartition("_")[2] for query in queries if query.id.startswith("CSAS_")]
    return statement.with_number(numbers[0]) if numbers else None


async def _execute(server: Ksqldb, statement: Statement, text: str) -> None:
    try:
        outcome = await server.execute(text)
    except StatementError as error:
        raise StatementError(f"{statement.file}, line {statement.line}: {error.reason}", statement.text) from None
    if outcome.status == "ERROR":
        raise StatementError(f"{statement.file}, line {statement.line}: {outcome.message}", statement.text)


async def health(server: Ksqldb) -> list[QueryHealth]:
    """The persistent queries, and how far each is behind; raises KsqldbUnavailable."""
    lags: dict[str, int] = {}
    queries = await server.queries()
    for sink in sorted({sink for query in queries for sink in query.sinks}):
        for summary in (await server.describe(sink)).query_offset_summaries:
            partitions = [offsets for topic in summary.topic_summaries for offsets in topic.offsets]
            if partitions:
                lags[summary.group_id] = sum(offsets.lag for offsets in partitions)
    return [
        QueryHealth(
            query.id,
            query.state,
            next((lag for group, lag in lags.items() if group.endswith(f"query_{query.id}")), None),
        )
        for query in sorted(queries, key=lambda query: query.id)
    ]

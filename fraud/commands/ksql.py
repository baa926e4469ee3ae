"""`python -m fraud ksql ...`: the SQL, its deployment, and its health."""

import asyncio
from collections.abc import Sequence

import cyclopts
from rich.table import Table

from fraud.commands.screen import screen
from fraud.ksqldb.client import KsqldbSettings, connect
from fraud.ksqldb.deployment import QueryHealth, health
from fraud.ksqldb.deployment import deploy as deploy_statements
from fraud.ksqldb.statements import Statement, statements
from fraud.ksqldb.statements import render as render_statements
from fraud.rules import load
from fraud.settings import RulesSettings
from schemas.cli import Seconds
from schemas.logs import silence_logs

DIFFERENT = 1

ksql = cyclopts.App(name="ksql", help="The rules on ksqlDB.")


@ksql.command
def render(rules: RulesSettings | None = None) -> None:
    """Print the SQL with the rules' numbers, to be pasted into the ksqlDB CLI."""
    print(render_statements(load((rules or RulesSettings()).fraud_rules)), end="")


@ksql.command
def deploy(
    ksqldb: KsqldbSettings | None = None,
    rules: RulesSettings | None = None,
    *,
    replace: bool = False,
    wait: Seconds = 120.0,
) -> int:
    """Create on the server what is missing, and say what was done. Exit status 1 if something differs.

    Parameters
    ----------
    replace
        Replace what differs: drop it with its topic, and read the payments from their beginning.
    wait
        Seconds to wait for the server.
    """
    silence_logs()
    sql = statements(load((rules or RulesSettings()).fraud_rules))
    return asyncio.run(_deploy(ksqldb or KsqldbSettings(), sql, replace=replace, wait=wait))


async def _deploy(settings: KsqldbSettings, sql: Sequence[Statement], *, replace: bool, wait: float) -> int:
    differs = False
    async with connect(settings) as server:
        info = await server.wait(wait)
        print(f"ksqlDB {info.version} at {server.url}")
        async for deployed in deploy_statements(server, sql, replace=replace):
            print(f"{deployed.did:<10} {deployed.name}")
            differs |= deployed.did == "differs"
    if differs:
        print("what differs was left alone; --replace puts it right")
    return DIFFERENT if differs else 0


@ksql.command
def status(ksqldb: KsqldbSettings | None = None) -> int:
    """Show the queries, their state and how far they are behind. Exit status 1 unless all run."""
    silence_logs()
    queries = asyncio.run(_status(ksqldb or KsqldbSettings()))
    table = Table("query", "state", "lag")
    for query in queries:
        table.add_row(query.id, query.state, "?" if query.lag is None else str(query.lag))
    screen().print(table)
    return 0 if queries and all(query.state == "RUNNING" for query in queries) else DIFFERENT


async def _status(settings: KsqldbSettings) -> list[QueryHealth]:
    async with connect(settings) as server:
        return await health(server)

"""`python -m fraud ksql ...`: the SQL, its deployment, and its health."""

import asyncio
from pathlib import Path

import cyclopts
from rich.console import Console
from rich.table import Table

from fraud.ksqldb.client import KsqldbSettings, connect
from fraud.ksqldb.deployment import QueryHealth, health
from fraud.ksqldb.deployment import deploy as deploy_statements
from fraud.ksqldb.statements import render as render_statements
from fraud.ksqldb.statements import statements
from fraud.rules import load

DIFFERENT = 1

ksql = cyclopts.App(name="ksql", help="The rules on ksqlDB.")


@ksql.command
def render(*, fraud_rules: Path | None = None) -> None:
    """Print the SQL with the rules' numbers, to be pasted into the ksqlDB CLI.

    Parameters
    ----------
    fraud_rules
        File with the rules; without it those that are shipped.
    """
    print(render_statements(load(fraud_rules)), end="")


@ksql.command
def deploy(
    ksqldb: KsqldbSettings | None = None,
    *,
    fraud_rules: Path | None = None,
    replace: bool = False,
    wait: float = 120.0,
) -> int:
    """Create on the server what is missing, and say what was done. Exit status 1 if something differs.

    Parameters
    ----------
    fraud_rules
        File with the rules; without it those that are shipped.
    replace
        Replace what differs: drop it with its topic, and read the payments from their beginning.
    wait
        Seconds to wait for the server.
    """
    return asyncio.run(_deploy(ksqldb or KsqldbSettings(), fraud_rules, replace=replace, wait=wait))


async def _deploy(settings: KsqldbSettings, rules: Path | None, *, replace: bool, wait: float) -> int:
    found = statements(load(rules))
    differs = False
    async with connect(settings) as server:
        info = await server.wait(wait)
        print(f"ksqlDB {info.version} at {server.url}")
        async for done in deploy_statements(server, found, replace=replace):
            print(f"{done.did:<10} {done.name}")
            differs |= done.did == "differs"
    if differs:
        print("what differs was left alone; --replace puts it right")
    return DIFFERENT if differs else 0


@ksql.command
def status(ksqldb: KsqldbSettings | None = None) -> int:
    """Show the queries, their state and how far they are behind. Exit status 1 unless all run."""
    queries = asyncio.run(_status(ksqldb or KsqldbSettings()))
    table = Table("query", "state", "lag")
    for query in queries:
        table.add_row(query.id, query.state, "?" if query.lag is None else str(query.lag))
    Console().print(table)
    return 0 if queries and all(query.state == "RUNNING" for query in queries) else DIFFERENT


async def _status(settings: KsqldbSettings) -> list[QueryHealth]:
    async with connect(settings) as server:
        return await health(server)

"""`python -m fraud`: the commands."""

import asyncio
import sys

from fraud.commands.account import erase, export
from fraud.commands.compare import compare
from fraud.commands.evaluate import evaluate
from fraud.commands.ksql import ksql
from fraud.commands.redrive import redrive
from fraud.commands.replay import replay
from fraud.commands.rules import rules
from fraud.detection.detect import stages
from fraud.detection.topology import BY_PAYEE, BY_PAYOR
from fraud.rules import load
from fraud.run import run_stages
from fraud.settings import Settings
from schemas.cli import command_line, exit_status
from schemas.event_loop import loop_factory
from schemas.logs import configure_logs
from schemas.registry import Registry

cli = command_line(
    "fraud", "Watches payments for structuring (31 U.S.C. 5324). Each setting is an environment variable, too."
)

cli.command(rules)
cli.command(ksql)
cli.command(compare)
cli.command(evaluate)
cli.command(export)
cli.command(erase)
cli.command(replay)
cli.command(redrive)


@cli.command
def run(settings: Settings | None = None) -> None:
    """Run both stages, by payor and by payee, in one process."""
    _run(settings or Settings(), BY_PAYOR, BY_PAYEE)


@cli.command
def normalise(settings: Settings | None = None) -> None:
    """Run the stage by payor alone: it reads the raw topics, judges by rules that look at a payor, and sends on what
    rules that look at a payee count.
    """
    _run(settings or Settings(), BY_PAYOR)


@cli.command
def detect(settings: Settings | None = None) -> None:
    """Run the stage by payee alone: it judges what the stage by payor sends on, by rules that look at a payee."""
    _run(settings or Settings(), BY_PAYEE)


def _run(settings: Settings, *names: str) -> None:
    configure_logs(settings.logs)
    drift_ms = int(settings.fraud.fraud_drift_seconds * 1000)
    by_name = stages(load(settings.fraud.fraud_rules), Registry(settings.registry), drift_ms)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(run_stages([by_name[name] for name in names], settings))


def main() -> int:
    """The exit status: what the command says; 2 where it could not do its work at all."""
    return exit_status(cli, failed=2)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m fraud`: the commands."""

import asyncio
import os
import sys

import cyclopts

from fraud.commands.account import erase, export
from fraud.commands.compare import compare
from fraud.commands.evaluate import evaluate
from fraud.commands.ksql import ksql
from fraud.detection.detect import detect_stage
from fraud.detection.normalise import normalise_stage
from fraud.replay import replay
from fraud.rules import load
from fraud.run import run_stages
from fraud.settings import Settings
from schemas.errors import UndertenError
from schemas.event_loop import loop_factory
from schemas.logs import configure_logs
from schemas.registry import Registry


class _OfSettings(cyclopts.config.Env):
    """Variables are read for settings alone: YES or WAIT in the environment is somebody else's."""

    def __call__(self, app: cyclopts.App, commands: tuple[str, ...], arguments: cyclopts.ArgumentCollection) -> None:
        settings = cyclopts.ArgumentCollection(filter(_is_setting, arguments))  # type: ignore[no-untyped-call]
        super().__call__(app, commands, settings)

    def _convert_argument(self, commands: tuple[str, ...], argument: cyclopts.Argument) -> str:
        """Called for what the help says."""
        if not _is_setting(argument):
            silent = cyclopts.Parameter(show_env_var=False)
            argument.parameter = cyclopts.Parameter.combine(argument.parameter, silent)
        return super()._convert_argument(commands, argument)


def _is_setting(argument: cyclopts.Argument) -> bool:
    """Whether it is a dataclass of settings, a field of one, or has the name of one."""
    return bool(argument.children or argument.keys) or argument.name.startswith("--fraud-")


cli = cyclopts.App(
    name="fraud",
    help="Watches payments for structuring (31 U.S.C. 5324). Each setting is an environment variable, too.",
    config=_OfSettings("", command=False),
)

cli.command(ksql)
cli.command(compare)
cli.command(evaluate)
cli.command(export)
cli.command(erase)
cli.command(replay, config=())  # it needs no settings: FILE in the environment is somebody else's


@cli.command
def run(settings: Settings | None = None) -> None:
    """Run both stages, normalise and detect, in one process."""
    _run(settings, "normalise", "detect")


@cli.command
def normalise(settings: Settings | None = None) -> None:
    """Run the first stage alone: three formats in, one out, keyed by payor and by payee."""
    _run(settings, "normalise")


@cli.command
def detect(settings: Settings | None = None) -> None:
    """Run the second stage alone: payments in, cases out."""
    _run(settings, "detect")


def _run(given: Settings | None, *names: str) -> None:
    settings = given or Settings()
    configure_logs(settings.logs)
    registry = Registry(settings.registry)
    stages = {
        "normalise": normalise_stage(registry, int(settings.fraud.fraud_drift_seconds * 1000)),
        "detect": detect_stage(load(settings.fraud.fraud_rules), registry),
    }
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(run_stages([stages[name] for name in names], settings))


def main() -> int:
    """The exit status: what the command says; 2 where it could not do its work at all."""
    try:
        status = int(cli(result_action="return_value") or 0)
        sys.stdout.flush()
    except UndertenError as error:
        print(f"fraud: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read the output has seen enough. What is still in the buffer must not fail when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


if __name__ == "__main__":
    sys.exit(main())

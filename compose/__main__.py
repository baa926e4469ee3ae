"""`python -m compose`: the local stack's commands."""

import sys
from pathlib import Path

import cyclopts

from compose.parts import lock
from compose.stack import StackSettings, up
from schemas.errors import UndertenError

cli = cyclopts.App(
    name="compose",
    help="The local stack, without Docker.",
    config=cyclopts.config.Env("", command=False),
)


@cli.command(name="up")
def start(settings: StackSettings | None = None) -> None:
    """Start Kafka, the schema registry, fraud and the service; Ctrl-C ends them. What they hold is kept."""
    up(settings or StackSettings())


@cli.command(name="lock")
def write_lock() -> None:
    """Resolve the servers' parts anew and write parts.toml; for those who change a version."""
    Path(__file__).with_name("parts.toml").write_text(lock(Path(".local/lock-cache")), encoding="utf-8")


def main() -> int:
    """The exit status: 0 after Ctrl-C, 1 with one clear line where something was in the way."""
    try:
        cli()
    except UndertenError as error:
        print(f"compose: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

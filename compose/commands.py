"""The commands of `python -m compose`."""

from pathlib import Path

from compose import licences
from compose.parts import fetch, lock
from compose.stack import HomeSettings, StackSettings, up
from schemas.cli import command_line

cli = command_line("compose", "The local stack, without Docker.")


@cli.command(name="up")
def start(settings: StackSettings | None = None) -> None:
    """Start Kafka, the schema registry, fraud and the service; Ctrl-C ends them. What they hold is kept."""
    up(settings or StackSettings())


@cli.command(name="fetch")
def fetch_parts(settings: HomeSettings | None = None) -> None:
    """Download what the stack and the tests run, where it is missing: no test's time limit allows for that."""
    fetch((settings or HomeSettings()).stack_home / "parts", streams=True)


@cli.command(name="lock")
def write_lock() -> None:
    """Resolve the servers' parts anew and write parts.toml; for those who change a version."""
    Path(__file__).with_name("parts.toml").write_text(lock(Path(".local/lock-cache")), encoding="utf-8")


@cli.command(name="licences")
def write_licences() -> None:
    """Write the tables of docs/licences.md anew; for those who change a lock."""
    page = licences.PAGE.read_text(encoding="utf-8")
    licences.PAGE.write_text(licences.renew(page), encoding="utf-8")

"""`python -m tests.soak`: the command line."""

import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cyclopts import Parameter

from schemas.cli import command_line
from schemas.errors import UndertenError
from tests.integration.processes import ledger_ids
from tests.soak.client import Client
from tests.soak.evidence import cases_on_topic, cases_shown, everything_detected, raw_payments
from tests.soak.faults import FAULTS
from tests.soak.installation import Installation
from tests.soak.traffic import requests
from tests.soak.verdict import Verdict, judge

REPORT_SECONDS = 10.0
SETTLE_SECONDS = 120.0
MAX_SAID = 20

cli = command_line(
    "soak", "Sends payments while one thing after another breaks, and counts what was lost, doubled or wrong."
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SoakSettings:
    """Length, rate and faults of a soak."""

    seconds: float = 600.0
    """Time for which payments are sent."""

    rate: float = 300.0
    """Payments a second."""

    seed: int = 1
    """The same seed makes the same payments and the same order of faults."""

    fault_every: float = 20.0
    """Seconds from one fault's beginning to the next one's, or as long as a fault takes."""

    faults: tuple[str, ...] = tuple(FAULTS)
    """Faults that happen; in the variable, separated by blanks."""


def say(text: str) -> None:
    """With the time."""
    print(time.strftime("%H:%M:%S"), text, flush=True)


@cli.default
def run(settings: SoakSettings | None = None) -> int:
    """End with `sent N acknowledged N lost 0 doubled 0 wrong 0` and status 0, or with other figures and status 1."""
    folder = Path(tempfile.mkdtemp(prefix="underten-soak-"))
    verdict = asyncio.run(soak(settings or SoakSettings(), folder))
    if verdict.good:
        shutil.rmtree(folder)
    for text in [*verdict.lost, *verdict.doubled, *verdict.wrong][:MAX_SAID]:
        say(text)
    print(verdict)
    return 0 if verdict.good else 1


async def soak(settings: SoakSettings, folder: Path) -> Verdict:
    """The whole of it; everything that it starts has ended when it returns."""
    say(f"starting Kafka, the registry, fraud and the service in {folder}")
    async with Installation(folder, say).running() as installation:
        client = Client(installation.url)
        try:
            async with asyncio.TaskGroup() as group:
                reporting = group.create_task(_report(client))
                breaking = group.create_task(_break(installation, settings))
                await client.send(requests(settings.seed), settings.rate, settings.seconds)
                faults = await breaking
                say("no more faults; waiting for the last answers")
                await client.finish(SETTLE_SECONDS)
                reporting.cancel()
            return replace(await _verdict(installation, client), faults=faults)
        finally:
            await client.close()


async def _break(installation: Installation, settings: SoakSettings) -> list[str]:
    """The names of the faults that there were."""
    chance, names = random.Random(settings.seed), list[str]()
    end = time.monotonic() + settings.seconds - settings.fault_every
    for name in _in_turn(list(settings.faults), chance):
        await asyncio.sleep(settings.fault_every / 2)
        if time.monotonic() > end:
            break
        began = time.monotonic()
        say(f"fault: {name}")
        try:
            await FAULTS[name](installation, chance)
        except (TimeoutError, UndertenError, OSError) as error:
            installation.complaints.append(f"{name}: {type(error).__name__} {error}")
        names.append(name)
        took = time.monotonic() - began
        say(f"fault: {name} is over after {took:.0f} s")
        await asyncio.sleep(max(0.0, settings.fault_every / 2 - took))
    return names


def _in_turn(names: list[str], chance: random.Random) -> Iterator[str]:
    """Without end, each once before any comes again."""
    while True:
        chance.shuffle(names)
        yield from names


async def _report(client: Client) -> None:
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        again = client.again.total()
        say(
            f"sent {len(client.sent)} acknowledged {len(client.acknowledged)} waiting {client.unanswered} again {again}"
        )


async def _verdict(installation: Installation, client: Client) -> Verdict:
    say(f"sent again, by reason: {dict(client.again)}")
    kafka = installation.servers.kafka_settings
    complaints = [*installation.complaints, *(f"{reason}: {answer}" for reason, answer in client.refused.items())]
    if not await everything_detected(kafka, SETTLE_SECONDS):
        complaints.append(f"fraud was not done after {SETTLE_SECONDS:.0f} s")
    cases = await cases_on_topic(kafka)
    shown = await cases_shown(installation, cases, SETTLE_SECONDS)
    raw, ledger = await raw_payments(installation.servers), await ledger_ids(kafka)
    say(f"{len(raw)} records, {len(cases)} cases")
    return judge(client.sent, client.acknowledged, raw, ledger, cases, shown, complaints)


def main() -> int:
    """The exit status."""
    return int(cli() or 0)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m fraud compare`: the second engine against Python, as a table or as JSON."""

import asyncio
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from aiokafka.errors import KafkaError
from cyclopts import Parameter
from rich.table import Table

from fraud.commands.screen import screen
from fraud.comparison.compare import KINDS, Comparison, align, difference
from fraud.comparison.engine_status import REBALANCING, EngineStatus, SecondEngine
from fraud.comparison.lag import python_lag
from fraud.comparison.rows import SINK
from fraud.comparison.second_engine import choose_engine, second_engine
from fraud.comparison.stored_rows import Rows, read_rows
from fraud.comparison.stream_times import StreamTimes
from fraud.detection.topology import HOT_CASES_EVERY_SECONDS
from fraud.ksqldb.client import KsqldbSettings
from fraud.rules import Rule, load
from fraud.settings import EngineSettings, InstallationSettings, RulesSettings
from schemas.cli import Seconds, write_json
from schemas.errors import BrokerError, UndertenError
from schemas.kafka.provisioning import retention_ms
from schemas.kafka.reading import end_offsets
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import RAW_TOPICS
from schemas.logs import silence_logs

SHOWN = 20
DIFFERENT = 1
COULD_NOT = 2
MAX_WAITS = 5
ASK_AGAIN_SECONDS = 1.0


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CompareSettings(RulesSettings, InstallationSettings, EngineSettings):
    """Settings of a comparison: its sources."""

    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    ksqldb: KsqldbSettings = field(default_factory=KsqldbSettings)


class EngineNotRunning(UndertenError):
    """The second engine cannot be reached, or does not run every rule."""


def compare(
    settings: CompareSettings | None = None,
    *,
    form: Annotated[Literal["table", "json"], Parameter(name="--format")] = "table",
    wait: Seconds = 0.0,
) -> int:
    """Compare the two engines, the second one and Python, window by window.

    Without KSQLDB_URL the second one is that of the local stack. Exit status 0 if all windows are equal, 1 if not, 2
    if it could not compare: an engine cannot be reached, or has not read everything yet.

    Parameters
    ----------
    form
        A table for people, or one JSON object.
    wait
        Seconds to wait for an engine that has not read everything, counted anew whenever there is less left to read; at
        most five times as long altogether.
    """
    source = settings or CompareSettings()
    silence_logs()
    try:
        comparison, engine, caught_up = asyncio.run(compare_when_caught_up(source, wait))
    except (KafkaError, BrokerError, EngineNotRunning) as error:
        print(f"could not compare: {error}", file=sys.stderr)
        return COULD_NOT
    report = {"engine": engine.as_json()} | comparison.as_json(caught_up=caught_up)
    if form == "json":
        write_json(report)
    else:
        show(report)
    if not caught_up:
        return COULD_NOT
    return 0 if comparison.agree else DIFFERENT


async def compare_when_caught_up(settings: CompareSettings, wait: float) -> tuple[Comparison, EngineStatus, bool]:
    """The comparison, and whether both engines had read everything: what one has not read is no difference."""
    rules = load(settings.fraud_rules)
    choice = choose_engine(settings.engine, settings.ksqldb, otherwise="streams")
    engine = second_engine(choice, settings.ksqldb, settings.kafka, settings.fraud_app, rules)
    if engine is None:
        raise EngineNotRunning("ENGINE is none")
    patience = Patience(wait, time.monotonic())
    while True:
        before = await end_offsets(settings.kafka, RAW_TOPICS)
        behind, status = await _behind(settings, engine)
        if not behind:
            comparison = await compare_engines(settings.kafka, rules)
            if comparison.agree:
                return comparison, status, True
            # Cases of hot windows come a moment after their payments were read.
            await asyncio.sleep(2 * HOT_CASES_EVERY_SECONDS)
            comparison = await compare_engines(settings.kafka, rules)
            if comparison.agree or await end_offsets(settings.kafka, RAW_TOPICS) == before:
                return comparison, status, True
        if patience.ends(behind, time.monotonic()):
            return Comparison(), status, False
        await asyncio.sleep(ASK_AGAIN_SECONDS)


class Patience:
    """Patience with an engine that is behind: as long as it catches up, but not for ever."""

    def __init__(self, seconds: float, now: float) -> None:
        """`now` in seconds, by any clock."""
        self._seconds = seconds
        self._until = now + seconds
        self._at_last = now + MAX_WAITS * seconds
        self._least: int | None = None

    def ends(self, behind: int, now: float) -> bool:
        """True if it is over, now that so much is left."""
        if self._least is None or behind < self._least:
            self._least = behind
            self._until = now + self._seconds
        return now > min(self._until, self._at_last)


async def _behind(settings: CompareSettings, engine: SecondEngine) -> tuple[int, EngineStatus]:
    """Records that one of the engines has not read; asked twice, because what is read may lead to more."""
    for _ in range(2):
        status = await engine.status()
        if status.reason and status.state != REBALANCING:
            raise EngineNotRunning(status.reason)
        if behind := await python_lag(settings.kafka, settings.fraud_app) + (status.lag or 0):
            return behind, status
        if status.reason:
            return 1, status  # as long as it starts, nobody knows
    return 0, status


async def compare_engines(kafka: KafkaSettings, rules: Sequence[Rule]) -> Comparison:
    """All windows of these rules, as they stand on the topics now; raises KafkaError."""
    comparison, times = Comparison(), StreamTimes(rules)
    retention = await retention_ms(kafka, [SINK + rule.name for rule in rules])
    now = time.time() * 1000
    with Rows() as rows:
        await times.read(kafka)
        await read_rows(kafka, rules, rows)
        comparison.not_understood = rows.not_understood
        for window, ksqldb, python in align(rows.in_order("ksqldb"), rows.in_order("python")):
            # A row is as old as its last payment, which may be the window's first.
            if ksqldb is None and window.window_start + retention.get(SINK + window.rule, math.inf) <= now:
                comparison.expired += 1
                continue
            late, repeated = rows.count_uncounted("late", window), rows.count_uncounted("repeated", window)
            disagreement = difference(window, ksqldb, python, late, repeated)
            comparison.add(window, disagreement, closed=times.is_closed(window))
    return comparison


def show(report: dict[str, Any]) -> None:
    """Show people what `--format json` has for programs: the counts, and the first of the differences."""
    console = screen()
    engine = report["engine"]
    console.print(f"{engine['name']} {engine['version'] or ''} against Python")
    if not report["caught_up"]:
        console.print("not compared: an engine has not read everything yet; --wait SECONDS waits for it")
        return
    table = Table("rule", *(kind.replace("ksqldb", engine["name"]).replace("_", " ") for kind in KINDS))
    for rule, counts in report["rules"].items():
        table.add_row(rule, *(str(counts[kind]) for kind in KINDS))
    console.print(table)
    console.print(f"{report['settled']} windows are settled, {report['provisional']} still open")
    if report["expired"]:
        console.print(f"{report['expired']} are not compared: {engine['name']}'s topics keep nothing that old")
    if report["not_understood"]:
        console.print(f"{report['not_understood']} records of the topics are no rows, and were left out")
    for unequal in report["differences"][:SHOWN]:
        window = f"{unequal['rule']} {unequal['group']} from {unequal['window_start']}"
        console.print(f"{unequal['kind']}: {window}")
        for name, values in unequal["fields"].items():
            console.print(f"    {name}: {engine['name']} {values['ksqldb']}, Python {values['python']}")
    if len(report["differences"]) > SHOWN:
        console.print(f"... and {len(report['differences']) - SHOWN} more; --format json has them")

"""`python -m fraud evaluate`: what was found against what is known to be there, as a table or as JSON."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from fraud import evaluation
from fraud.comparison.engines import python_lag
from fraud.evaluation import Cases, Evaluation, Score, decode_truth
from fraud.replay import File, Row, opened
from fraud.settings import InstallationSettings
from schemas.case import CaseError, case_id, decode_case
from schemas.errors import SettingsError
from schemas.kafka.reading import read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import REVIEW_QUEUE
from schemas.logs import LogSettings, configure_logs

SHOWN = 10
WIDTH = 110
"""Columns of the table: on a narrower screen its lines wrap, but nothing is cut off."""
COULD_NOT = 2
ASK_AGAIN_SECONDS = 0.5


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(InstallationSettings):
    """What to evaluate, and where it is."""

    kafka: KafkaSettings = field(default_factory=KafkaSettings)

    truth: Path = Path(".local/truth.ndjson")
    """File with what should be found: a line for each pattern that was sent."""


def evaluate(
    settings: EvaluateSettings | None = None,
    *,
    rows: File = None,
    form: Annotated[Literal["table", "json"], Parameter(name="--format")] = "table",
    wait: float = 0.0,
) -> int:
    """Compare the cases with the truth: recall, precision, and the time from crossing the line to the case.

    A case is judged if it holds payments that were sent with the truth. It is true if it holds payments of a pattern
    that names its rule; a pattern is found by a rule if there is such a case.

    Times are from the timestamp of the payment that crossed the line, set when the service took it, to that of the
    case's first record on review_queue, set when it was put into its transaction: readers of committed records see it
    once that is committed, some milliseconds later. Where the topic has been compacted since, the first record may be
    gone, and the time comes out too long.

    With --rows they are times of payments: how long after the line was crossed the payment came at which the rule
    fired. How fast a machine is they do not say.

    Exit status 0; 2 if the truth, the rows or Kafka cannot be read.

    Parameters
    ----------
    rows
        What `python -m fraud replay` wrote, in place of the queue; "-" is standard input.
    form
        A table for people, or one JSON object.
    wait
        Seconds to wait until fraud has read every payment.
    """
    known = settings or EvaluateSettings()
    configure_logs(LogSettings(log_level="critical"))
    try:
        with opened(known.truth) as stream:
            instances = decode_truth(stream, str(known.truth))
        if rows is None:
            cases = asyncio.run(_queue(known, wait))
        else:
            with opened(rows) as stream:
                cases = read_rows(stream, str(rows))
    except KafkaError as error:
        Console(stderr=True).print(f"could not evaluate: {error}", markup=False)
        return COULD_NOT
    found = evaluation.evaluate(instances, cases)
    if form == "json":
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        _show(found)
    return 0


def read_rows(lines: Iterable[bytes], file: str) -> Cases:
    """The cases that a replay's rows make up; raises SettingsError that names the line."""
    decode = msgspec.json.Decoder(Row).decode
    cases = Cases()
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            row = decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file}: line {number}: {error}") from None
        name = case_id(row.rule, row.window_start, tuple(row.group.values()))
        cases.add(name, row.rule, row.payment_ids, row.row_timestamp)
    return cases


async def _queue(settings: EvaluateSettings, wait: float) -> Cases:
    """The cases on the queue, once fraud has read everything or the time is up; raises KafkaError."""
    until = time.monotonic() + wait
    while lag := await python_lag(settings.kafka, settings.fraud_app):
        if time.monotonic() > until:
            left = f"fraud has not read everything yet: {lag} records are left; --wait SECONDS waits for it"
            Console(stderr=True).print(left, highlight=False, markup=False)
            break
        await asyncio.sleep(ASK_AGAIN_SECONDS)
    return await read_queue(read_to_end(settings.kafka, [REVIEW_QUEUE]))


async def read_queue(batches: AsyncIterator[list[ConsumerRecord]]) -> Cases:
    """The cases in records of `review_queue`; what is none is counted, and said."""
    cases = Cases()
    bad = 0
    async for records in batches:
        for record in records:
            name = (record.key or b"").decode(errors="replace")
            if record.value is None:
                cases.discard(name)
                continue
            try:
                case = decode_case(record.value)
            except CaseError:
                bad += 1
            else:
                cases.add(name, case.rule, (payment.id for payment in case.payments), record.timestamp)
    if bad:
        left_out = f"{bad} records of {REVIEW_QUEUE} are no cases, and were left out"
        Console(stderr=True).print(left_out, highlight=False, markup=False)
    return cases


def _show(found: Evaluation) -> None:
    screen = Console(width=max(Console().width, WIDTH))
    table = Table("typology", "rule")
    for name in ("expected", "found", "recall", "cases", "precision", "p50", "p99"):
        table.add_column(name, justify="right")
    for scores in (found.typologies, found.rules):
        for score in scores:
            table.add_row(*_cells(score))
        table.add_section()
    screen.print(table)
    screen.print(f"{found.instances} patterns; p50 and p99: seconds from crossing the line to the case")
    for missed in found.missed[:SHOWN]:
        screen.print(f"missed: {missed.rule} {missed.typology} {missed.group}", highlight=False, markup=False)
    for case in found.false_cases[:SHOWN]:
        screen.print(f"false: {case.rule} case {case.case_id}", highlight=False, markup=False)
    if len(found.missed) > SHOWN or len(found.false_cases) > SHOWN:
        screen.print("... and more; --format json has them")


def _cells(score: Score) -> list[str]:
    shares = [_share(score.recall), str(score.cases), _share(score.precision)]
    return [
        score.typology,
        score.rule,
        str(score.expected),
        str(score.found),
        *shares,
        _seconds(score.p50_ms),
        _seconds(score.p99_ms),
    ]


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _seconds(value: int | None) -> str:
    return "" if value is None else f"{value / 1000:.3f}"

"""`python -m fraud evaluate`: cases against the truth, as a table or as JSON."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from cyclopts import Parameter

from fraud.commands.evaluation_tables import show_evaluation, show_trial
from fraud.comparison.lag import python_lag
from fraud.evaluation.cases import Cases
from fraud.evaluation.score import Evaluation
from fraud.evaluation.score import evaluate as score
from fraud.evaluation.trial import Trial, compare
from fraud.evaluation.truth import LoadRun, Truth, decode_truth
from fraud.payment_files import File, open_file, read_lines, read_payments
from fraud.replay import Replay, ReplayRow
from fraud.rules import load
from fraud.settings import InstallationSettings
from schemas.case import CaseError, decode_case
from schemas.cli import Seconds, write_json
from schemas.errors import DECODE_ERRORS, SettingsError
from schemas.kafka.reading import read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import REVIEW_QUEUE
from schemas.logs import silence_logs

COULD_NOT = 2
ASK_AGAIN_SECONDS = 0.5


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(InstallationSettings):
    """Settings of an evaluation: its sources."""

    kafka: KafkaSettings = field(default_factory=KafkaSettings)

    truth: Path = Path(".local/truth.ndjson")
    """File with what there is to be found: a line for each pattern that was sent."""


def evaluate(
    settings: EvaluateSettings | None = None,
    *,
    rows: File = None,
    payments: Path | None = None,
    unknown: Annotated[bool, Parameter(name="--no-truth", negative=())] = False,
    form: Annotated[Literal["table", "json"], Parameter(name="--format")] = "table",
    wait: Seconds = 0.0,
) -> int:
    """Score rules by the crimes that they find: recall, precision, cases a day, and the time to a case.

    A crime is found if a case holds at least 80 % of its payments, and in time if that case stood there at the latest
    an hour after the last of them. A case is judged if it holds payments that were sent with the truth; it is true if
    at least half of its payments belong to crimes. Cases a day are those of a bank with 100,000 payments a day.
    In brackets stand the bounds of the 95 % confidence interval (Wilson).

    Times are from the timestamp of a pattern's last payment, set when the service took it, to that of the record on
    review_queue that holds enough of it, set when it was put into its transaction: readers of committed records see it
    some milliseconds later. Where the topic has been compacted since, earlier records may be gone, and the time comes
    out too long. With --rows they are times of payments: how fast a machine is they do not say.

    Exit status 0; 2 if the truth, the rows, the payments or Kafka cannot be read.

    Parameters
    ----------
    rows
        What `python -m fraud replay` wrote, in place of the queue; "-" is standard input.
    payments
        The file that was replayed, JSON lines or CSV: the shipped rules are replayed on it and shown beside the rows.
    unknown
        Judge every case without a truth: of a bank's own past nobody knows which payments are crimes.
    form
        A table for people, or one JSON object.
    wait
        Seconds to wait until fraud has read every payment.
    """
    source = settings or EvaluateSettings()
    silence_logs()
    try:
        truth = Truth() if unknown else _read_truth(source.truth)
        cases = _read_cases(source, rows, wait)
    except KafkaError as error:
        print(f"could not evaluate: {error}", file=sys.stderr)
        return COULD_NOT
    _show(score(truth, cases) if payments is None else _trial(truth, cases, payments), form)
    return 0


def _read_cases(settings: EvaluateSettings, rows: File, wait: float) -> Cases:
    """The cases to score: those of a replay's rows, or those of the queue; raises KafkaError, SettingsError."""
    if rows is None:
        return asyncio.run(_queue(settings, wait))
    with open_file(rows) as stream:
        return read_rows(stream, str(rows))


def _trial(truth: Truth, cases: Cases, payments: Path) -> Trial:
    """The cases beside those of the shipped rules on the same payments."""
    shipped, count = replay_shipped(payments)
    return compare(truth if truth.runs else Truth(truth.patterns, (LoadRun("", count),)), cases, shipped)


def _read_truth(file: Path) -> Truth:
    with open_file(file) as stream:
        truth = decode_truth(stream, str(file))
    if not truth.is_known:
        raise SettingsError(f"{file}: says nothing of any payment; --no-truth shows cases without a truth")
    return truth


def _show(answer: Evaluation | Trial, form: Literal["table", "json"]) -> None:
    if form == "json":
        write_json(answer)
    elif isinstance(answer, Trial):
        show_trial(answer)
    else:
        show_evaluation(answer)


def read_rows(lines: Iterable[bytes], file: str) -> Cases:
    """The cases that a replay's rows make up; raises SettingsError that names the line."""
    decode = msgspec.json.Decoder(ReplayRow).decode
    cases = Cases()
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            row = decode(line)
        except DECODE_ERRORS as error:
            raise SettingsError(f"{file}: line {number}: {error}") from None
        cases.add_row(row)
    return cases


def replay_shipped(file: Path) -> tuple[Cases, int]:
    """The cases of the shipped rules on recorded payments, and how many payments there are. Bad ones are left out."""
    cases, replaying = Cases(), Replay(load(), "changes")
    with open_file(file) as stream:
        for payment in read_payments(read_lines(stream), lambda _: None):
            for row in replaying.add(payment):
                cases.add_row(row)
    return cases, replaying.payments


async def _queue(settings: EvaluateSettings, wait: float) -> Cases:
    """The cases on the queue, once fraud has read everything or the time is up; raises KafkaError."""
    until = time.monotonic() + wait
    while lag := await python_lag(settings.kafka, settings.fraud_app):
        if time.monotonic() > until:
            progress = f"fraud has not read everything yet: {lag} records are left; --wait SECONDS waits for it"
            print(progress, file=sys.stderr)
            break
        await asyncio.sleep(ASK_AGAIN_SECONDS)
    return await read_queue(read_to_end(settings.kafka, [REVIEW_QUEUE]))


async def read_queue(batches: AsyncIterator[list[ConsumerRecord]]) -> Cases:
    """The cases in records of `review_queue`; records that are none are counted, and the count is said."""
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
                group = msgspec.to_builtins(case.group)
                cases.add(name, case.rule, group, (payment.id for payment in case.payments), record.timestamp)
    if bad:
        left_out = f"{bad} records of {REVIEW_QUEUE} are no cases, and were left out"
        print(left_out, file=sys.stderr)
    return cases

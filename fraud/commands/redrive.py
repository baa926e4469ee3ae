"""`python -m fraud redrive`: what was rejected, judged anew, and what is good sent to where it is watched."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from cyclopts import Parameter

from fraud.comparison.compare import window_key
from fraud.comparison.stream_times import StreamTimes
from fraud.detection.sources import PayorSource
from fraud.redrive import RejectedPlace, RejectedRecord, Selection, place_of_mark, rejected_record
from fraud.rules import load
from fraud.settings import InstallationSettings, RulesSettings
from fraud.streams.stage import Output
from fraud.windows import RuleWindows
from schemas.errors import BrokerError, PaymentError
from schemas.kafka.connect import started
from schemas.kafka.reading import end_offsets, read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import FRAUD_STATE, PAYMENT_REJECTED, PAYMENTS, PAYMENTS_BY_PAYEE
from schemas.logs import silence_logs
from schemas.payment import Payment
from schemas.payment_reader import PaymentReader
from schemas.registry import Registry, RegistrySettings

NOWHERE = -1
"""No partition: every payment is to be sent to its own."""
MAX_BATCH = 500
"""Records of a transaction."""
MAX_REASONS = 20


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RedriveSettings(RulesSettings, InstallationSettings):
    """Addresses of the topics and of the schemas, and the installation that watches the payments."""

    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    registry: RegistrySettings = field(default_factory=RegistrySettings)


@dataclass
class RedriveCounts:
    """Counts of what became of the records: payments, those of them that are late, and the others by their reason."""

    payments: int = 0
    late: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


def redrive(
    settings: RedriveSettings | None = None,
    *,
    reason: str | None = None,
    topic: str | None = None,
    since: datetime | None = None,
    yes: bool = False,
) -> int:
    """Judge the records of payment_rejected anew, and send those that are payments by now to `payments`.

    Each goes there once, however often this runs, with its own time and origin: if its window has closed meanwhile, it
    is late there as it would have been here. Exit status 1 without --yes: it says what it would send; 2 for a failure.

    Parameters
    ----------
    reason
        Only records whose reason has these words in it.
    topic
        Only records of this topic.
    since
        Only records that were rejected at this time or later, such as 2027-01-31T12:00; in UTC where it says no zone.
    yes
        Really do it.
    """
    silence_logs()
    selection = Selection(reason=reason, topic=topic, since_ms=None if since is None else _milliseconds(since))
    try:
        counts = asyncio.run(_redrive(settings or RedriveSettings(), selection, really=yes))
    except KafkaError as error:
        raise BrokerError(f"Kafka cannot be read or written: {error}") from error
    _show(counts, really=yes)
    return 0 if yes else 1


def _milliseconds(time: datetime) -> int:
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


async def _redrive(settings: RedriveSettings, selection: Selection, *, really: bool) -> RedriveCounts:
    kafka, rules = settings.kafka, load(settings.fraud_rules)
    async with AsyncExitStack() as stack:
        # First: the id fences another run of this, so that no mark comes after the topic has been read.
        producer = await stack.enter_async_context(_producer(settings)) if really else None
        marks = await _marks(kafka)
        partitions = {topic: await _partitions(kafka, topic) for topic in (PAYMENTS, PAYMENTS_BY_PAYEE, FRAUD_STATE)}
        reader, times, counts = PaymentReader(Registry(settings.registry)), StreamTimes(rules), RedriveCounts()
        await times.read(kafka)
        source = PayorSource(NOWHERE, rules, reader, partitions)
        windows = [RuleWindows(rule) for rule in rules]
        async for batch in _batches(kafka, marks, selection):
            await reader.learn(batch)
            outputs: list[Output] = []
            for record in batch:
                try:
                    outputs += _judge_anew(record, source)
                    payment = reader.read(record)
                except PaymentError as error:
                    counts.rejected[str(error)] += 1
                    continue
                counts.payments += 1
                counts.late += any(_is_late(times, rule, payment, record.timestamp) for rule in windows)
            if producer is not None:
                await _send(producer, outputs)
        return counts


def _producer(settings: RedriveSettings) -> AbstractAsyncContextManager[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        **settings.kafka.client_options(),
        transactional_id=f"{settings.fraud_app}-redrive",
        max_request_size=4 * 1024 * 1024,
    )
    return started(producer, settings.kafka)


async def _marks(kafka: KafkaSettings) -> set[RejectedPlace]:
    """The places of the records that were sent on before."""
    marks: set[RejectedPlace] = set()
    async for records in read_to_end(kafka, [PAYMENT_REJECTED]):
        marks.update(mark for record in records if (mark := place_of_mark(record)))
    return marks


async def _partitions(kafka: KafkaSettings, topic: str) -> int:
    count = len(await end_offsets(kafka, [topic]))
    if not count:
        raise BrokerError(f"topic {topic} is not there: has `python -m fraud run` ever run here?")
    return count


async def _batches(
    kafka: KafkaSettings, marks: set[RejectedPlace], selection: Selection
) -> AsyncIterator[Sequence[RejectedRecord]]:
    async for records in read_to_end(kafka, [PAYMENT_REJECTED]):
        rejected = [record for entry in records if (record := rejected_record(entry)) and record.place not in marks]
        selected = [record for record in rejected if selection.takes(record)]
        for at in range(0, len(selected), MAX_BATCH):
            yield selected[at : at + MAX_BATCH]


def _judge_anew(record: RejectedRecord, source: PayorSource) -> Iterable[Output]:
    """Send a payment to where it belongs, with the mark that it was sent; raises PaymentError."""
    if not record.is_whole:
        raise PaymentError("only its beginning was kept")
    partition, _ = record.place
    # aiokafka wants a key where there is no value.
    mark = Output(PAYMENT_REJECTED, partition, record.key or b"", None, None, [record.mark])
    return [*source.read_one(record).outputs, mark]


def _is_late(times: StreamTimes, windows: RuleWindows, payment: Payment, at_ms: int) -> bool:
    """True for a payment that comes after a window of the rule's that would have counted it has closed."""
    if not windows.takes(payment.payment_amount):
        return False
    group: dict[str, int | str] = dict(zip(windows.rule.group_by, windows.group_of(payment), strict=True))
    return any(times.is_closed(window_key(windows.rule.name, start, group)) for start in windows.starts(at_ms))


async def _send(producer: AIOKafkaProducer, outputs: Iterable[Output]) -> None:
    """Send these together or not at all."""
    async with producer.transaction():
        deliveries = [
            await producer.send(
                output.topic,
                output.value,
                key=output.key,
                partition=output.partition,
                timestamp_ms=output.timestamp,
                headers=list(output.headers),
            )
            for output in outputs
        ]
        await asyncio.gather(*deliveries)


def _show(counts: RedriveCounts, *, really: bool) -> None:
    print(f"{counts.payments} payments {'sent' if really else 'would be sent; --yes sends them'}")
    if counts.late:
        print(f"{counts.late} of them are late: a window that would have counted them has closed, see payment_late")
    if counts.rejected:
        print(f"{counts.rejected.total()} records are still no payments:")
    for reason, count in counts.rejected.most_common(MAX_REASONS):
        print(f"  {count} {reason}")
    if len(counts.rejected) > MAX_REASONS:
        print(f"  ... and {len(counts.rejected) - MAX_REASONS} other reasons")

"""Detection: a stage's payments in, cases out, with the ledger as state. Both stages are this, on other sources.

Per batch each payment is written once to the changelog, see `fraud.detection.changelog`. The cases of windows that
fired are written with it, except where a window is *hot*: a case lists up to 1,000 payments, and writing that list for
each payment would make the thousandth cost a thousand times the first. So cases of hot windows are written once a
second, when the window closes, and when the worker stops.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec
import structlog
from aiokafka.structs import ConsumerRecord

from fraud.deduplication import Repeated
from fraud.detection.cases import case, case_json
from fraud.detection.changelog import ChangelogError, Segments, progress
from fraud.detection.judgement import PlacedWindow
from fraud.detection.ledger import Ledger
from fraud.detection.partition_keys import account_of
from fraud.detection.rejected import carry_headers, rejection
from fraud.detection.restore import Restore, Restored
from fraud.detection.sources import Arrival, PayeeSource, PayorSource, Source
from fraud.detection.tally import Tally
from fraud.detection.topology import BY_PAYEE, BY_PAYOR, GROUPS, HOT_CASES_EVERY_SECONDS, INPUTS, OUTPUTS
from fraud.detection.uncounted import late_payment, repeated_payment
from fraud.rules import Rule
from fraud.streams.stage import Headers, Output, Partitions, Processor, Stage
from fraud.windows import Group, RuleWindows, Window
from schemas.case import ListedPayment
from schemas.codecs import case_header
from schemas.errors import PaymentError
from schemas.kafka.partitioning import partition_of
from schemas.kafka.topics import (
    FRAUD_STATE,
    PAYMENT_LATE,
    PAYMENT_REJECTED,
    PAYMENT_REPEATED,
    PAYMENTS,
    PAYMENTS_BY_PAYEE,
    REQUEST_ID,
    REVIEW_QUEUE,
)
from schemas.payment import LATEST, encode_json
from schemas.payment_reader import PaymentReader
from schemas.registry import Registry

HOT_PAYMENTS = 60
MAX_OUTPUTS = 50_000
"""Limit of outputs that are not about a batch's payments: deletions, and cases by rules that have changed."""

log = structlog.get_logger(__name__)

Place = tuple[RuleWindows, int, Group]
"""The place of a window: its rule's windows, its start, its group."""


class Change(msgspec.Struct, gc=False):
    """A window whose case has to be written, and the headers of its latest payment."""

    window: Window
    headers: Headers


class Detect:
    """The processor of one task: a ledger, and what follows from each payment."""

    def __init__(
        self, stage: str, number: int, rules: Sequence[Rule], source: Source, registry: Registry, partitions: Partitions
    ) -> None:
        self._stage = stage
        self._number = number
        self._source = source
        self._registry = registry
        self._partitions = partitions
        self._case_header = b""
        self._ledger = Ledger(rules)
        self._account_of = account_of(PAYMENTS if stage == BY_PAYOR else PAYMENTS_BY_PAYEE)
        self._segments = Segments(stage)
        # By payee, only what a rule counts is sent at all. What a new rule would have counted may have come just now.
        unseen_until_ms = int(time.time() * 1000) if stage == BY_PAYEE else -1
        self._restore: Restore | None = Restore(
            stage, self._ledger, self._account_of, partitions[FRAUD_STATE], unseen_until_ms
        )
        self._stale: tuple[bytes, ...] = ()
        self._overdue: Iterator[PlacedWindow] | None = None
        self._state_is_new = False
        self._changed: dict[Place, Change] = {}
        self._hot: dict[Place, Change] = {}
        self._hot_at = 0.0
        self._listed_payments: dict[int, ListedPayment] = {}
        """Payments of this batch's cases, by arrival: where there are several rules, most are listed by several."""
        self._tally = Tally(stage, number, [rule.name for rule in rules], INPUTS[stage])

    async def prepare(self, records: Sequence[ConsumerRecord]) -> None:
        """Ask for schemas that are new; raises RegistryUnavailable."""
        await self._source.prepare(records)

    @property
    def pending(self) -> bool:
        """True if cases of hot windows wait, or of rules that have changed, or state to be deleted."""
        return bool(self._hot or self._stale or self._overdue is not None)

    def restore(self, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Take in a chunk of the changelog; whether all could be read, `restored` says."""
        assert self._restore is not None
        for key, value in records:
            self._restore.take(key, value)

    async def restored(self) -> None:
        """Make the ledger of what the changelog had; raises RegistryUnavailable, SchemaError, ChangelogError."""
        assert self._restore is not None
        self._case_header = await case_header(self._registry)
        try:
            for _ in self._restore.fill(self._segments):
                await asyncio.sleep(0)  # the group's heartbeats go on meanwhile
            self._take_up(self._restore.finish())
        except ChangelogError as error:
            raise ChangelogError(f"{FRAUD_STATE}, partition {self._number}: {error}") from None
        self._restore = None

    def _take_up(self, restored: Restored) -> None:
        self._stale = restored.stale
        self._state_is_new = restored.older or bool(restored.removed or restored.changed)
        task_log = log.bind(stage=self._stage, task=self._number)
        if restored.older:
            task_log.warning("state of another version or number of partitions is deleted, and made anew")
        for rule in sorted(restored.removed):
            task_log.warning("rule is gone", rule=rule)
        for rule, since in sorted(restored.changed.items()):
            task_log.warning("rule is new or has changed: it judges what the ledger has", rule=rule, since=_iso(since))
        watches = [watch for watch in self._ledger.watches if watch.windows.rule.name in restored.changed]
        if watches:
            self._overdue = self._ledger.judge(watches)
        for name, group, start in restored.due:
            if firing := self._ledger.window(name, group, start):
                windows, window = firing
                self._hot[windows, start, group] = Change(window, ())

    def process(self, records: Sequence[ConsumerRecord], now: float) -> list[Output]:
        """Cases that are due, payments that came late or again, and what has changed in the ledger."""
        outputs = [self._to_changelog(key, None) for key in self._stale[:MAX_OUTPUTS]]
        self._stale = self._stale[MAX_OUTPUTS:]
        for record, arrival in zip(records, self._source.read(records), strict=True):
            if isinstance(arrival, PaymentError):
                self._tally.counts["rejected", record.topic] += 1
                outputs.append(rejection(record, str(arrival), self._partitions[PAYMENT_REJECTED]))
            else:
                if arrival.outputs:
                    outputs += arrival.outputs
                if arrival.payment is not None:
                    self._add(arrival, record, outputs)
        settled = self._judge_overdue(outputs) and not self._stale
        outputs += self._cases(now)
        if settled and (records or outputs or self._state_is_new) and self._number < self._partitions[FRAUD_STATE]:
            outputs += self._keep()
            self._state_is_new = False
        return outputs

    def _add(self, arrival: Arrival, record: ConsumerRecord, outputs: list[Output]) -> None:
        """Put a payment into the ledger; what comes out at once is where it was late, or there already."""
        payment, origin = arrival.payment, arrival.origin
        assert payment is not None
        at_ms = record.timestamp
        judgements = self._ledger.add(self._account_of(payment), payment, at_ms, origin)
        if isinstance(judgements, Repeated):
            self._tally.counts.update(
                ("repeated", rule) for rule in {windows.rule.name for windows, *_ in judgements.windows}
            )
            repeat = repeated_payment(judgements, payment, origin, at_ms)
            outputs.append(self._keyed(PAYMENT_REPEATED, repeat.id, encode_json(repeat), record.headers))
            return
        for windows, start, group, window in judgements:
            if window is not None:
                self._changed[windows, start, group] = Change(window, record.headers)
            else:
                self._tally.counts["late", windows.rule.name] += 1
                late = late_payment(windows, start, group, payment, origin, at_ms)
                outputs.append(self._keyed(PAYMENT_LATE, late.case_id, encode_json(late), record.headers))

    def _judge_overdue(self, outputs: list[Output]) -> bool:
        """Write cases by rules that have changed; whether all are written."""
        if self._overdue is None:
            return True
        before = len(outputs)
        for windows, start, group, window in self._overdue:
            outputs.append(self._case((windows, start, group), Change(window, ())))
            if len(outputs) - before >= MAX_OUTPUTS:
                return False
        self._overdue = None
        return True

    def _cases(self, now: float) -> Iterator[Output]:
        """Cases of the windows that changed in this batch, and of those that had to wait."""
        for place, change in self._changed.items():
            if change.window.payment_count > HOT_PAYMENTS:
                self._hot[place] = change
            else:
                yield self._case(place, change)
        self._changed.clear()
        for windows, start, group, _ in self._ledger.close():
            place = windows, start, group
            if place in self._hot:
                yield self._case(place, self._hot.pop(place))
        if now - self._hot_at >= HOT_CASES_EVERY_SECONDS:
            self._hot_at = now
            for place, change in self._hot.items():
                yield self._case(place, change)
            self._hot.clear()

    def _keep(self) -> Iterator[Output]:
        """Records of what has changed in the ledger, and of how far the task has come."""
        ledger = self._ledger
        expired = ledger.expire()  # before `added` is looked at: what a rule that lags still counts is added anew
        for key, value in self._segments.write(ledger.added, expired):
            yield self._to_changelog(key, value)
        ledger.added.clear()
        due = [(windows.rule.name, group, start) for windows, start, group in self._hot]
        yield self._to_changelog(*progress(self._stage, ledger, self._partitions[FRAUD_STATE], due))

    def _case(self, place: Place, change: Change) -> Output:
        (windows, start, group), window = place, change.window
        self._tally.add_case(windows.rule.name, window.last_at)
        several_rules = len(self._ledger.watches) > 1
        written = case(windows.rule, start, group, window, self._listed_payments if several_rules else None)
        return self._keyed(REVIEW_QUEUE, written.case_id, self._case_header + case_json(written), change.headers)

    def _keyed(self, topic: str, key: str, value: bytes, headers: Headers) -> Output:
        """A record about a payment; of that one's headers it has the request's id."""
        encoded = key.encode()
        partition = partition_of(encoded, self._partitions[topic])
        request_id = [header for header in carry_headers(headers) if header[0] == REQUEST_ID] if headers else ()
        return Output(topic, partition, encoded, value, headers=request_id)

    def _to_changelog(self, key: bytes, value: bytes | None) -> Output:
        return Output(FRAUD_STATE, self._number, key, value)

    def committed(self) -> None:
        """Count what was committed."""
        self._tally.publish()
        self._tally.show(self._ledger)
        self._listed_payments.clear()

    def closed(self) -> None:
        """The ledger goes with the task."""
        self._tally.hide(self._ledger)


def _iso(at_ms: int) -> str:
    # After a payment of the last millisecond that there is, a rule has all from the next one on.
    return datetime.fromtimestamp(min(at_ms, LATEST) / 1000, UTC).isoformat(timespec="seconds")


def stages(rules: Sequence[Rule], registry: Registry, drift_ms: int) -> dict[str, Stage]:
    """Both stages, by name; `drift_ms` is how much event time a batch may span, see `fraud.streams.partition_group`."""
    by_payor = [rule for rule in rules if rule.input_topic == PAYMENTS]
    by_payee = [rule for rule in rules if rule.input_topic == PAYMENTS_BY_PAYEE]

    def payor_task(number: int, partitions: Partitions) -> Processor:
        source = PayorSource(number, by_payee, PaymentReader(registry), partitions)
        return Detect(BY_PAYOR, number, by_payor, source, registry, partitions)

    def payee_task(number: int, partitions: Partitions) -> Processor:
        return Detect(BY_PAYEE, number, by_payee, PayeeSource(), registry, partitions)

    def stage(name: str, processor: Callable[[int, Partitions], Processor], drift_ms: int | None) -> Stage:
        return Stage(name, GROUPS[name], INPUTS[name], OUTPUTS[name], processor, FRAUD_STATE, drift_ms)

    return {BY_PAYOR: stage(BY_PAYOR, payor_task, drift_ms), BY_PAYEE: stage(BY_PAYEE, payee_task, None)}

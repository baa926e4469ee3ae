"""Sources of a stage's payments: from a record to the payment that is judged in this task, or sent on to its own.

A payment's home is the partition that murmur2 of its payor's number leads to, of as many as `fraud_state` has: whatever
key its record has, and however many partitions its topic. So a payor's payments are all judged by one task, that of
their home, and each once: where it was read first, if that is its home, or else where it comes back on `payments`.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
from aiokafka.structs import ConsumerRecord

from fraud.detection.packed import Origin
from fraud.detection.partition_keys import payee_key, payor_key
from fraud.detection.rejected import carry_headers, check_time
from fraud.rules import Rule
from fraud.streams.stage import Headers, Output, Partitions
from fraud.windows import RuleWindows
from schemas.errors import BrokerError, PaymentError
from schemas.kafka.partitioning import partition_of
from schemas.kafka.topics import FRAUD_STATE, PAYMENTS, PAYMENTS_BY_PAYEE
from schemas.payment import NormalisedPayment, Payment, encode_json, json_reader
from schemas.payment_reader import PaymentReader

_read_normalised = json_reader(NormalisedPayment)


class Arrival(msgspec.Struct, gc=False):
    """Contents of a record: a payment, if it is to be judged here; the raw record that it came in; what to send on."""

    payment: Payment | None
    origin: Origin
    outputs: Sequence[Output] = ()


class Source(Protocol):
    """Reads the records of a stage's inputs, in one task."""

    async def prepare(self, records: Sequence[ConsumerRecord]) -> None:
        """Ask for schemas that are new; raises RegistryUnavailable."""

    def read(self, records: Sequence[ConsumerRecord]) -> Iterator[Arrival | PaymentError]:
        """Read each record, after `prepare` has seen them."""


class PayorSource:
    """The raw topics, and `payments`."""

    def __init__(self, number: int, rules: Sequence[Rule], reader: PaymentReader, partitions: Partitions) -> None:
        """Raises BrokerError where the topics' partitions do not fit together."""
        self._number = number
        self._reader = reader
        self._homes = partitions[FRAUD_STATE]
        by_payee = [rule for rule in rules if rule.input_topic == PAYMENTS_BY_PAYEE]
        self._payee_windows = list(
            {(rule.amount_from, rule.amount_below): RuleWindows(rule) for rule in by_payee}.values()
        )
        """One for each of their filters."""
        for topic in (PAYMENTS, PAYMENTS_BY_PAYEE):
            if partitions[topic] < self._homes:
                raise BrokerError(
                    f"{topic} has {partitions[topic]} partitions, {FRAUD_STATE} {self._homes}: it needs as many"
                )

    async def prepare(self, records: Sequence[ConsumerRecord]) -> None:
        """See `Source`."""
        await self._reader.learn([record for record in records if record.topic != PAYMENTS])

    def read(self, records: Sequence[ConsumerRecord]) -> Iterator[Arrival | PaymentError]:
        """See `Source`."""
        for record, payment in zip(records, self._reader.read_ordinary(records), strict=True):
            try:
                yield self.read_one(record) if payment is None else self._arrival(payment, record)
            except PaymentError as error:
                yield error

    def read_one(self, record: ConsumerRecord) -> Arrival:
        """Read a record by itself; raises PaymentError."""
        if record.topic == PAYMENTS:
            return _normalised(record)
        return self._arrival(self._reader.read(record), record)

    def _arrival(self, payment: Payment, record: ConsumerRecord) -> Arrival:
        check_time(record)
        origin = Origin(record.topic, record.partition, record.offset)
        by_payee = self._counts_by_payee(payment.payment_amount)
        payor = payor_key(payment.payor_account_no)
        home = partition_of(payor, self._homes)
        if home == self._number:
            if not by_payee:
                return Arrival(payment, origin)
            return Arrival(payment, origin, [self._by_payee(payment, origin, record)])
        value, headers = normalised_json(payment, origin), _headers(record)
        outputs = [Output(PAYMENTS, home, payor, value, record.timestamp, headers)]
        if by_payee:
            outputs.append(self._by_payee(payment, origin, record))
        return Arrival(None, origin, outputs)

    def _counts_by_payee(self, amount: float) -> bool:
        for windows in self._payee_windows:  # noqa: SIM110 - any() is a generator's start dearer, for each payment
            if windows.takes(amount):
                return True
        return False

    def _by_payee(self, payment: Payment, origin: Origin, record: ConsumerRecord) -> Output:
        key = payee_key(payment.payee_bank, payment.payee_account_no)
        value, partition = normalised_json(payment, origin), partition_of(key, self._homes)
        return Output(PAYMENTS_BY_PAYEE, partition, key, value, record.timestamp, _headers(record))


class PayeeSource:
    """`payments_by_payee`."""

    async def prepare(self, records: Sequence[ConsumerRecord]) -> None:
        """Do nothing: its records need no schema."""

    def read(self, records: Sequence[ConsumerRecord]) -> Iterator[Arrival | PaymentError]:
        """See `Source`."""
        for record in records:
            try:
                yield _normalised(record)
            except PaymentError as error:
                yield error


def _normalised(record: ConsumerRecord) -> Arrival:
    payment = _read_normalised(record.value or b"")
    check_time(record)
    return Arrival(payment, Origin(payment.source, payment.partition, payment.offset))


def _headers(record: ConsumerRecord) -> Headers:
    return carry_headers(record.headers) if record.headers else ()


def normalised_json(payment: Payment, origin: Origin) -> bytes:
    """A payment as `payments` and `payments_by_payee` have it."""
    return encode_json(NormalisedPayment.of(payment, *origin))

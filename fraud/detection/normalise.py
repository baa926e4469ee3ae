"""Normalise: three formats in, one out, keyed by payor and by payee; what is no payment is set aside.

The record's timestamp is kept: it is the time of the payment for every window.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import structlog
from aiokafka.structs import ConsumerRecord

from fraud import metrics
from fraud.detection.partition_keys import payee_key, payor_key
from fraud.detection.rejected import carried, check_time, rejected
from fraud.detection.topology import NORMALISE
from fraud.streams.stage import Output, Partitions, Processor, Stage
from schemas.errors import PaymentError
from schemas.kafka.partitioning import partition_of
from schemas.kafka.topics import PAYMENT_REJECTED, PAYMENTS, PAYMENTS_BY_PAYEE, RAW_TOPICS
from schemas.payment import NormalisedPayment, Payment, encode_json
from schemas.payment_reader import PaymentReader
from schemas.registry import Registry

OUTPUTS = (PAYMENTS, PAYMENTS_BY_PAYEE, PAYMENT_REJECTED)

log = structlog.get_logger(__name__)


class Normalise:
    """The processor of one task; it has no state."""

    pending = False

    def __init__(self, reader: PaymentReader, partitions: Partitions) -> None:
        self._reader = reader
        self._partitions = partitions
        self._rejected: Counter[str] = Counter()
        for topic in RAW_TOPICS:
            # From 0 on: of a series that appears with its first event no increase is seen.
            metrics.REJECTED.labels(topic)

    async def prepare(self, records: Sequence[ConsumerRecord]) -> None:
        """Ask for schemas that are new; raises RegistryUnavailable."""
        await self._reader.learn(records)

    def process(self, records: Sequence[ConsumerRecord], now: float) -> list[Output]:
        """Each payment twice, or its bytes once to `payment_rejected`."""
        outputs: list[Output] = []
        for record in records:
            try:
                payment = self._reader.read(record)
                outputs.extend(self._normalised(payment, record))
            except PaymentError as error:
                self._rejected[record.topic] += 1
                outputs.append(rejected(record, str(error), self._partitions[PAYMENT_REJECTED]))
        return outputs

    def _normalised(self, payment: Payment, record: ConsumerRecord) -> tuple[Output, Output]:
        check_time(record)
        value = encode_json(
            NormalisedPayment(
                payment.id,
                payment.payee_bank,
                payment.payee_account_no,
                payment.payment_amount,
                payment.payment_method,
                payment.payor_account_no,
                record.topic,
            )
        )
        headers = carried(record.headers) if record.headers else ()
        payor, payee = payor_key(payment.payor_account_no), payee_key(payment.payee_bank, payment.payee_account_no)
        by_payor = partition_of(payor, self._partitions[PAYMENTS])
        by_payee = partition_of(payee, self._partitions[PAYMENTS_BY_PAYEE])
        return (
            Output(PAYMENTS, by_payor, payor, value, record.timestamp, headers),
            Output(PAYMENTS_BY_PAYEE, by_payee, payee, value, record.timestamp, headers),
        )

    def restore(self, changelog: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """There is nothing to restore."""

    def committed(self) -> None:
        """Count what was committed."""
        for topic, count in self._rejected.items():
            metrics.REJECTED.labels(topic).inc(count)
            log.warning("records rejected", topic=topic, count=count, see=PAYMENT_REJECTED)
        self._rejected.clear()

    def closed(self) -> None:
        """There is no gauge."""


def normalise_stage(registry: Registry, drift_ms: int) -> Stage:
    """Raw topics to `payments`, `payments_by_payee`, `payment_rejected`."""

    def processor(number: int, partitions: Partitions) -> Processor:
        return Normalise(PaymentReader(registry), partitions)

    return Stage(NORMALISE, RAW_TOPICS, OUTPUTS, processor, drift_ms=drift_ms)

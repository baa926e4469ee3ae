"""The intake of payments: from a request's payments to records, sent once each where deduplication is on."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from schemas.payment import Payment, json_lines
from service.idempotency.deduplicator import Deduplicator
from service.idempotency.fingerprints import fingerprints, ids_bytes
from service.metrics import Metrics
from service.payments.codecs import Codecs
from service.payments.rate_limit import RateLimiter
from service.producer.payment_producer import PaymentProducer
from service.producer.records import Delivery, Records, milliseconds
from service.settings import ServiceSettings


@dataclass(frozen=True)
class PaymentIntake:
    """The parts that a posted payment passes; together, so that a request looks them up once."""

    settings: ServiceSettings
    codecs: Codecs
    metrics: Metrics
    limiter: RateLimiter | None
    producer: PaymentProducer
    deduplicator: Deduplicator | None
    """Absent where payments are sent as often as they come."""

    def submit(self, delivery: Delivery, topic: str, positions: Sequence[int], payments: Sequence[Payment]) -> None:
        """Hand payments in, each at its position of the delivery; raises RegistryUnavailable."""
        keys = [b"%d" % payment.payor_account_no for payment in payments]
        texts = json_lines(payments)
        values = self.codecs.codec(topic).encode_all(payments, texts)
        records = Records(delivery, topic, milliseconds(), positions, keys, values)
        if self.deduplicator is None:
            self.producer.submit(records)
            return
        records.ids = ids_bytes([payment.id for payment in payments])
        records.fingerprints = fingerprints(topic, texts)
        self.deduplicator.submit(records)


INTAKE = web.AppKey("payment_intake", PaymentIntake)

"""Records that are no payments, set aside as they came; and what of a record's own is carried on."""

import time
from collections.abc import Sequence

from aiokafka.structs import ConsumerRecord

from fraud.streams.stage import Headers, Output
from schemas.errors import PaymentError
from schemas.kafka.topics import PAYMENT_REJECTED
from schemas.payment import LATEST

MAX_BYTES = 1_000_000
"""Limit of key, value and headers: that of Kafka's default (message.max.bytes), less what is added here."""
MAX_HEADER_BYTES = 16_384
MAX_REASON_CHARACTERS = 1_000


def check_time(record: ConsumerRecord) -> None:
    """Raises PaymentError for a record without a timestamp, or with one in µs: it belongs to no window."""
    if not 0 <= record.timestamp <= LATEST:
        raise PaymentError(f"the record's timestamp, {record.timestamp}, is no time in ms")


def carry_headers(headers: Sequence[tuple[str, bytes | None]]) -> Headers:
    """Take a record's headers over to what follows from it: none if they are so long that they might get in its way."""
    return [(name, value or b"") for name, value in headers] if _size(headers) <= MAX_HEADER_BYTES else ()


def rejection(record: ConsumerRecord, reason: str, partitions: int) -> Output:
    """The record as it came, with the reason and its origin in headers.

    Its timestamp is that of the rejection: by its own, the topic's retention might delete it at once. Of a record so
    large that Kafka might not take it again, the value's beginning is kept, and `size` says how long it was.
    """
    origin = {
        "reason": reason[:MAX_REASON_CHARACTERS],
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
    }
    headers, key, value = carry_headers(record.headers), record.key, record.value
    if len(key or b"") + len(value or b"") > MAX_BYTES:
        origin["size"] = len(value or b"")
        key = (key or b"")[:MAX_HEADER_BYTES]
        value = (value or b"")[: MAX_BYTES - len(key)]
    added = [(name, str(value).encode(errors="backslashreplace")) for name, value in origin.items()]
    partition = record.partition % partitions
    return Output(PAYMENT_REJECTED, partition, key, value, int(time.time() * 1000), [*headers, *added])


def _size(headers: Sequence[tuple[str, bytes | None]]) -> int:
    """Bytes of headers, and two of lengths for each."""
    return sum(len(name) * 4 + len(value or b"") + 2 for name, value in headers)

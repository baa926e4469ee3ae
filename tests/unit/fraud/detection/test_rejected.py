"""A record that is set aside: as it came, as far as Kafka takes it again."""

import time

import pytest
from aiokafka.structs import ConsumerRecord

from fraud.detection.rejected import (
    MAX_BYTES,
    MAX_HEADER_BYTES,
    MAX_REASON_CHARACTERS,
    carry_headers,
    check_time,
    rejection,
)
from schemas.errors import PaymentError
from schemas.payment import LATEST


def record(
    timestamp: int = 5,
    key: bytes | None = b"100",
    value: bytes | None = b"{",
    headers: tuple[tuple[str, bytes], ...] = (),
) -> ConsumerRecord:
    return ConsumerRecord("payment_json", 8, 77, timestamp, 0, key, value, None, 3, len(value or b""), headers)


@pytest.mark.parametrize("timestamp", [-1, LATEST + 1, 1_795_392_000_000_000])
def test_a_record_without_a_time_in_ms_belongs_to_no_window(timestamp: int) -> None:
    with pytest.raises(PaymentError, match=f"{timestamp}, is no time in ms"):
        check_time(record(timestamp))


@pytest.mark.parametrize("timestamp", [0, LATEST])
def test_any_time_until_the_year_9999_will_do(timestamp: int) -> None:
    check_time(record(timestamp))


def test_headers_are_carried_unless_they_are_too_long_and_one_without_a_value_is_empty() -> None:
    assert carry_headers([("a", b"1"), ("b", None)]) == [("a", b"1"), ("b", b"")]
    assert carry_headers([("a", bytes(MAX_HEADER_BYTES))]) == ()


def test_a_rejection_says_why_and_where_the_record_was_and_has_the_time_of_now() -> None:
    output = rejection(record(headers=(("own", b"1"),)), "no payment", partitions=6)
    assert (output.topic, output.partition, output.key, output.value) == ("payment_rejected", 2, b"100", b"{")
    assert abs((output.timestamp or 0) - time.time() * 1000) < 60_000
    assert list(output.headers) == [
        ("own", b"1"),
        ("reason", b"no payment"),
        ("topic", b"payment_json"),
        ("partition", b"8"),
        ("offset", b"77"),
        ("timestamp", b"5"),
    ]


def test_a_reason_is_cut_and_what_is_no_text_is_written_by_its_number() -> None:
    headers = dict(rejection(record(), "\ud800" + "x" * 2 * MAX_REASON_CHARACTERS, 6).headers)
    assert headers["reason"] == b"\\ud800" + b"x" * (MAX_REASON_CHARACTERS - 1)


@pytest.mark.parametrize("key", [None, b"100", bytes(MAX_BYTES)])
def test_of_a_record_that_kafka_would_not_take_again_the_beginning_is_kept(key: bytes | None) -> None:
    output = rejection(record(key=key, value=b"v" * (MAX_BYTES + 1)), "too much", 6)
    assert len(output.key or b"") + len(output.value or b"") == MAX_BYTES
    assert (output.value or b"").strip(b"v") == b""
    assert dict(output.headers)["size"] == b"%d" % (MAX_BYTES + 1)

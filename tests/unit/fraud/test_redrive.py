"""A rejected record is known again as it came, and a mark as the record that it is of."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from fraud.detection.rejected import MAX_BYTES, rejection
from fraud.redrive import RejectedRecord, Selection, place_of_mark, rejected_record


@dataclass
class Consumed:
    """A record as a consumer has it."""

    topic: str = "payment_avro"
    partition: int = 4
    offset: int = 77
    timestamp: int = 1_000
    key: bytes | None = b"100"
    value: bytes | None = b"\0\0\0\0\7payload"
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def on_rejected(record: Consumed, reason: str = "no payment") -> Any:
    """The record as it stands on payment_rejected, at offset 9."""
    output = rejection(record, reason, 6)  # type: ignore[arg-type]
    return SimpleNamespace(
        topic=output.topic,
        partition=output.partition,
        offset=9,
        timestamp=output.timestamp,
        key=output.key,
        value=output.value,
        headers=tuple(output.headers),
    )


def parsed_rejection(record: Consumed, reason: str = "no payment") -> RejectedRecord:
    parsed = rejected_record(on_rejected(record, reason))
    assert parsed is not None
    return parsed


@pytest.mark.parametrize(
    "headers", [[], [("request_id", b"r1"), ("topic", b"their own"), ("__value_schema_id", b"\0\0\0\0\7")]]
)
def test_a_rejected_record_is_known_again_as_it_came(headers: list[tuple[str, bytes]]) -> None:
    record = Consumed(headers=headers)
    again = parsed_rejection(record, "schema id 7 is unknown")
    assert again.place == (4, 9)
    assert again.reason == "schema id 7 is unknown"
    assert (again.topic, again.partition, again.offset, again.timestamp) == ("payment_avro", 4, 77, 1_000)
    assert (again.key, again.value, list(again.headers)) == (record.key, record.value, headers)
    assert again.is_whole


def test_a_record_of_which_only_the_beginning_was_kept_says_so() -> None:
    assert not parsed_rejection(Consumed(value=bytes(MAX_BYTES + 1))).is_whole


def test_a_record_without_a_value_was_one() -> None:
    assert parsed_rejection(Consumed(value=None)).value is None


def test_a_mark_is_that_of_its_record_and_no_rejected_record() -> None:
    partition, offset = parsed_rejection(Consumed()).place
    mark: Any = SimpleNamespace(
        partition=4, offset=10, timestamp=0, key=b"", value=None, headers=(parsed_rejection(Consumed()).mark,)
    )
    assert place_of_mark(mark) == (partition, offset)
    assert rejected_record(mark) is None
    assert place_of_mark(on_rejected(Consumed())) is None


@pytest.mark.parametrize("topic", ["payments", "elsewhere"])
def test_what_was_rejected_of_another_topic_is_left_alone(topic: str) -> None:
    assert rejected_record(on_rejected(Consumed(topic=topic))) is None


@pytest.mark.parametrize(
    ("selection", "is_taken"),
    [
        (Selection(), True),
        (Selection(reason="UNKNOWN"), True),
        (Selection(reason="decimals"), False),
        (Selection(topic="payment_avro"), True),
        (Selection(topic="payment_json"), False),
        (Selection(since_ms=0), True),
        (Selection(since_ms=2**60), False),
    ],
)
def test_records_are_selected_by_reason_topic_and_time(selection: Selection, *, is_taken: bool) -> None:
    assert selection.takes(parsed_rejection(Consumed(), "schema id 7 is unknown to the registry")) is is_taken

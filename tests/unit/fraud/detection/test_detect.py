"""Detect's records: which request they name. Windows, state and the loop around them have tests of their own."""

import json
import uuid

import pytest
from aiokafka.structs import ConsumerRecord

from fraud.detection.detect import HOT_PAYMENTS, OUTPUTS, Detect
from fraud.detection.topology import DETECT_INPUTS
from fraud.rules import load
from fraud.streams.stage import Output
from schemas.kafka.topics import FRAUD_STATE, PAYMENT_LATE, PAYMENT_REJECTED, PAYMENTS, REVIEW_QUEUE
from schemas.payment import NormalisedPayment, encode_json
from schemas.registry import Registry, RegistrySettings

NOON = 1_795_392_000_000 + 43_200_000
DAY = 86_400_000
STRUCTURING = [rule for rule in load() if rule.name == "structuring"]


def detect() -> Detect:
    partitions = dict.fromkeys((*DETECT_INPUTS, *OUTPUTS), 6)
    return Detect(0, STRUCTURING, Registry(RegistrySettings()), partitions)


def record(amount: float, request_id: str | None, at_ms: int = NOON) -> ConsumerRecord:
    payment = NormalisedPayment(str(uuid.uuid4()), "First National", 200, amount, "ACH", 100, "payment_json")
    headers = [("channel", b"branch")] + ([("request_id", request_id.encode())] if request_id else [])
    value = encode_json(payment)
    return ConsumerRecord(PAYMENTS, 0, 0, at_ms, 0, b"100", value, None, 3, len(value), tuple(headers))


def of(topic: str, outputs: list[Output]) -> list[list[tuple[str, bytes]]]:
    return [list(output.headers) for output in outputs if output.topic == topic]


def test_a_case_names_the_request_of_the_latest_payment_that_led_to_it() -> None:
    task = detect()
    assert of(REVIEW_QUEUE, task.process([record(6000, "first")], 0)) == []
    assert of(REVIEW_QUEUE, task.process([record(6000, "second"), record(1, "third")], 1)) == [
        [("request_id", b"third")]
    ]
    assert of(REVIEW_QUEUE, task.process([record(1, "fourth")], 2)) == [[("request_id", b"fourth")]]


def test_a_case_whose_latest_payment_has_no_request_id_names_none() -> None:
    assert of(REVIEW_QUEUE, detect().process([record(6000, "first"), record(6000, None)], 0)) == [[]]


def test_the_case_of_a_hot_window_names_the_latest_request_whenever_it_is_written() -> None:
    task = detect()
    many = [record(9000, f"{number}") for number in range(HOT_PAYMENTS + 1)]
    task.process([], 100)  # from here on, the next hot cases are due at 101
    assert of(REVIEW_QUEUE, task.process(many, 100.1)) == []
    assert of(REVIEW_QUEUE, task.process([record(1, "later")], 100.2)) == []
    assert task.pending
    assert of(REVIEW_QUEUE, task.process([], 101)) == [[("request_id", b"later")]]
    assert of(REVIEW_QUEUE, task.process([record(1, "last")], 101.1)) == []
    # The next day's payment closes the window.
    closing = task.process([record(1, "next day", NOON + DAY)], 101.2)
    assert of(REVIEW_QUEUE, closing) == [[("request_id", b"last")]]


def test_a_late_payment_names_its_request() -> None:
    task = detect()
    task.process([record(1, "in time", NOON + DAY)], 0)
    outputs = task.process([record(6000, "late", NOON - DAY)], 1)
    assert of(PAYMENT_LATE, outputs) == [[("request_id", b"late")]]
    [late] = [output for output in outputs if output.topic == PAYMENT_LATE]
    assert json.loads(late.value or b"")["rule"] == "structuring"


@pytest.mark.parametrize("at_ms", [-1, NOON * 1000])
def test_a_time_that_is_none_in_ms_is_set_aside_and_moves_no_window(at_ms: int) -> None:
    task = detect()
    topics = [each.topic for each in task.process([record(6000, None, at_ms)], 0)]
    assert topics == [PAYMENT_REJECTED, FRAUD_STATE]
    assert of(PAYMENT_LATE, task.process([record(6000, None)], 1)) == []

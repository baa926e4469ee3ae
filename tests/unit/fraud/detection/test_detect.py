"""Outputs of detection: what, when, with which request's id. Windows, ledger and loop have tests of their own."""

import asyncio
import json
import uuid
from collections.abc import Sequence

import msgspec
import pytest
from aiokafka.structs import ConsumerRecord

from fraud.detection import detect
from fraud.detection.changelog import ChangelogError
from fraud.detection.detect import HOT_PAYMENTS, Detect, stages
from fraud.detection.sources import PayorSource
from fraud.detection.topology import BY_PAYOR, INPUTS, OUTPUTS
from fraud.rules import Rule, load, parse
from fraud.streams.stage import Output
from schemas.kafka.topics import (
    FRAUD_STATE,
    PAYMENT_LATE,
    PAYMENT_REJECTED,
    PAYMENT_REPEATED,
    PAYMENTS,
    REVIEW_QUEUE,
)
from schemas.payment import LATEST, NormalisedPayment, encode_json
from schemas.payment_reader import PaymentReader
from schemas.registry import Registry, RegistrySettings

NOON = 1_795_392_000_000 + 43_200_000
DAY = 86_400_000
RULES = load()
STRUCTURING = [rule for rule in RULES if rule.name == "structuring"]


def task(rules: Sequence[Rule] = STRUCTURING, number: int = 0) -> Detect:
    partitions = dict.fromkeys((*INPUTS[BY_PAYOR], *OUTPUTS[BY_PAYOR]), 6)
    registry = Registry(RegistrySettings())
    source = PayorSource(number, rules, PaymentReader(registry), partitions)
    return Detect(BY_PAYOR, number, rules, source, registry, partitions)


def record(
    amount: float, request_id: str | None, at_ms: int = NOON, payment_id: str | None = None, payor: int = 100
) -> ConsumerRecord:
    payment_id = payment_id or str(uuid.uuid4())
    payment = NormalisedPayment(payment_id, "First National", 200, amount, "ACH", payor, "payment_json", 3, 17)
    headers = [("channel", b"branch")] + ([("request_id", request_id.encode())] if request_id else [])
    value = encode_json(payment)
    return ConsumerRecord(PAYMENTS, 0, 0, at_ms, 0, b"100", value, None, 3, len(value), tuple(headers))


def of(topic: str, outputs: list[Output]) -> list[list[tuple[str, bytes]]]:
    return [list(output.headers) for output in outputs if output.topic == topic]


def test_a_case_names_the_request_of_the_latest_payment_that_led_to_it() -> None:
    detection = task()
    assert of(REVIEW_QUEUE, detection.process([record(6000, "first")], 0)) == []
    assert of(REVIEW_QUEUE, detection.process([record(6000, "second"), record(1, "third")], 1)) == [
        [("request_id", b"third")]
    ]
    assert of(REVIEW_QUEUE, detection.process([record(1, "fourth")], 2)) == [[("request_id", b"fourth")]]


def test_a_case_whose_latest_payment_has_no_request_id_names_none() -> None:
    assert of(REVIEW_QUEUE, task().process([record(6000, "first"), record(6000, None)], 0)) == [[]]


def test_the_case_of_a_hot_window_names_the_latest_request_whenever_it_is_written() -> None:
    detection = task()
    many = [record(9000, f"{number}") for number in range(HOT_PAYMENTS + 1)]
    detection.process([], 100)  # from here on, the next hot cases are due at 101
    assert of(REVIEW_QUEUE, detection.process(many, 100.1)) == []
    assert of(REVIEW_QUEUE, detection.process([record(1, "later")], 100.2)) == []
    assert detection.pending
    assert of(REVIEW_QUEUE, detection.process([], 101)) == [[("request_id", b"later")]]
    assert of(REVIEW_QUEUE, detection.process([record(1, "last")], 101.1)) == []
    # The next day's payment closes the window.
    closing = detection.process([record(1, "next day", NOON + DAY)], 101.2)
    assert of(REVIEW_QUEUE, closing) == [[("request_id", b"last")]]


def test_a_late_payment_names_its_request() -> None:
    detection = task()
    detection.process([record(1, "in time", NOON + DAY)], 0)
    outputs = detection.process([record(6000, "late", NOON - DAY)], 1)
    assert of(PAYMENT_LATE, outputs) == [[("request_id", b"late")]]
    [late] = [output for output in outputs if output.topic == PAYMENT_LATE]
    assert json.loads(late.value or b"")["rule"] == "structuring"


@pytest.mark.parametrize("at_ms", [-1, NOON * 1000])
def test_a_time_that_is_none_in_ms_is_set_aside_and_moves_no_window(at_ms: int) -> None:
    detection = task()
    topics = [output.topic for output in detection.process([record(6000, None, at_ms)], 0)]
    assert topics == [PAYMENT_REJECTED, FRAUD_STATE]
    assert of(PAYMENT_LATE, detection.process([record(6000, None)], 1)) == []


def test_a_payment_that_comes_again_is_written_once_with_both_places_and_the_windows_that_have_it() -> None:
    detection = task()
    twice = str(uuid.uuid4())
    detection.process([record(6000, "first", payment_id=twice)], 0)
    outputs = detection.process([record(6000, "again", NOON + 5, payment_id=twice), record(3999.99, "other")], 1)
    assert of(REVIEW_QUEUE, outputs) == []
    (again,) = [json.loads(output.value or b"") for output in outputs if output.topic == PAYMENT_REPEATED]
    assert of(PAYMENT_REPEATED, outputs) == [[("request_id", b"again")]]
    place = {"topic": "payment_json", "partition": 3, "offset": 17}
    assert (again["id"], again["differs"]) == (twice, [])
    assert (again["at"], again["first"]) == ({**place, "timestamp": NOON + 5}, {**place, "timestamp": NOON})
    assert [(window["rule"], window["window_start"]) for window in again["windows"]] == [
        ("structuring", NOON // DAY * DAY)
    ]


def test_another_payment_with_the_same_id_is_told_with_what_differs() -> None:
    detection = task()
    twice = str(uuid.uuid4())
    detection.process([record(6000, "first", payment_id=twice)], 0)
    outputs = detection.process([record(6000.01, "again", payment_id=twice)], 1)
    (again,) = [json.loads(output.value or b"") for output in outputs if output.topic == PAYMENT_REPEATED]
    assert again["differs"] == ["payment_amount"]
    assert of(REVIEW_QUEUE, outputs) == []


class _Registry(Registry):
    """A registry that knows the case's schema, by a number."""

    def __init__(self) -> None:
        super().__init__(RegistrySettings())

    async def register(self, subject: str, schema: object, compatibility: object = None) -> int:
        return 7


def restored(rules: Sequence[Rule], outputs: Sequence[Output], partitions: int = 6) -> Detect:
    """A task that takes over what another one has written to its changelog."""
    detection = stages(rules, _Registry(), 0)[BY_PAYOR].processor(
        0, dict.fromkeys((*INPUTS[BY_PAYOR], *OUTPUTS[BY_PAYOR]), partitions)
    )
    assert isinstance(detection, Detect)
    detection.restore([(output.key, output.value) for output in outputs if output.topic == FRAUD_STATE])
    asyncio.run(detection.restored())
    return detection


def test_what_another_task_had_not_written_of_a_hot_window_is_written_first_of_all() -> None:
    detection = task()
    detection.process([], 100)
    many = detection.process([record(9000, None) for number in range(HOT_PAYMENTS + 1)], 100.1)
    assert of(REVIEW_QUEUE, many) == []
    successor = restored(STRUCTURING, many)
    assert successor.pending
    (case,) = [output for output in successor.process([], 200) if output.topic == REVIEW_QUEUE]
    assert json.loads((case.value or b"")[5:])["payment_count"] == HOT_PAYMENTS + 1
    assert not successor.pending


STRICTER = parse(
    """
    [[rule]]
    name = "stricter"
    group_by = ["payor_account_no"]
    amount_below = 10000.00
    window = "24h"
    grace = "1h"
    total_above = 500.00
    """,
    "stricter.toml",
)


def test_a_new_rule_judges_all_accounts_at_once_in_bounded_batches_and_says_so_before_it_has_written_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(detect, "MAX_OUTPUTS", 4)
    changelog = task().process([record(6000, None, payor=payor) for payor in range(5) for _ in range(2)], 0)
    successor = restored([*STRUCTURING, *STRICTER], changelog)
    written: list[Output] = []
    while successor.pending:
        written += (batch := successor.process([], 0))
        dead_and_restored = restored([*STRUCTURING, *STRICTER], [*changelog, *written])
        is_last = any(output.topic == FRAUD_STATE for output in batch)
        assert dead_and_restored.pending is not is_last
    cases = [json.loads((output.value or b"")[5:]) for output in written if output.topic == REVIEW_QUEUE]
    assert {case["rule"] for case in cases} == {"stricter"}
    assert sorted(case["group"]["payor_account_no"] for case in cases) == [0, 1, 2, 3, 4]


def test_a_new_rule_may_begin_after_the_end_of_time() -> None:
    changelog = task().process([record(6000, None, at_ms=LATEST)], 0)
    any_amount = [msgspec.structs.replace(rule, amount_below=None) for rule in STRICTER]
    assert restored([*STRUCTURING, *any_amount], changelog).pending


def test_state_that_cannot_be_read_ends_it_with_the_partition() -> None:
    with pytest.raises(ChangelogError, match=r"fraud_state, partition 0: .*garbage"):
        restored(STRUCTURING, [Output(FRAUD_STATE, 0, b"garbage", b"")])


def test_a_task_without_records_writes_nothing() -> None:
    assert task().process([], 100) == []
    changelog = task().process([record(6000, None)], 0)
    assert restored(STRUCTURING, changelog).process([], 100) == []

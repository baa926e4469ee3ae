"""The ledger as records of a changelog: few, small, and gone with their day."""

import json
from collections.abc import Iterable
from uuid import UUID

import pytest

from fraud.detection import changelog
from fraud.detection.changelog import Segments, decode_progress, progress
from fraud.detection.ledger import Ledger
from fraud.detection.packed import Origin, PackedPayment, unpack_array
from fraud.detection.partition_keys import account_of
from fraud.detection.restore import Restore, Restored
from fraud.detection.topology import BY_PAYOR
from fraud.rules import DAY_MS, parse
from schemas.kafka.topics import PAYMENTS
from schemas.payment import Payment

HOUR = 3_600_000
NOON = 1_795_392_000_000 + 12 * HOUR
RULES = """
[[rule]]
name = "structuring"
group_by = ["payor_account_no", "payee_bank", "payee_account_no"]
amount_below = 10000.00
window = "24h"
grace = "1h"
total_above = 10000.00

[[rule]]
name = "velocity"
group_by = ["payor_account_no"]
window = "10m"
grace = "1h"
min_payments = 10
"""
PARTITIONS = 6

Log = list[tuple[bytes, bytes | None]]


class Task:
    """A ledger, and the records that it writes."""

    def __init__(self, rules: str = RULES) -> None:
        self.ledger = Ledger(parse(rules, "rules.toml"))
        self.segments = Segments(BY_PAYOR)
        self.log: Log = []
        self._offset = 0

    def add(self, at_ms: int, amount: float = 5000.0, payor: int = 1) -> None:
        payment = Payment(str(UUID(int=self._offset)), "First", 2, amount, "ACH", payor)
        self.ledger.add(payor, payment, at_ms, Origin("payment_json", 0, self._offset))
        self._offset += 1

    def commit(self, due: Iterable[tuple[str, tuple[int | str, ...], int]] = ()) -> Log:
        """The records of one transaction."""
        expired = self.ledger.expire()
        records: Log = list(self.segments.write(self.ledger.added, expired))
        self.ledger.added.clear()
        records.append(progress(BY_PAYOR, self.ledger, PARTITIONS, due))
        self.log += records
        return records


def restore(
    log: Log, rules: str = RULES, partitions: int = PARTITIONS, unseen_until_ms: int = -1, stage: str = BY_PAYOR
) -> tuple[Task, Restored]:
    task = Task(rules)
    restoring = Restore(stage, task.ledger, account_of(PAYMENTS), partitions, unseen_until_ms)
    for key, value in log:
        restoring.take(key, value)
    assert sum(restoring.fill(task.segments)) >= 0
    return task, restoring.finish()


def compacted(log: Log) -> Log:
    """A changelog as compaction leaves it at last: the last record of each key, in order, without deletions."""
    last = {key: place for place, (key, _) in enumerate(log)}
    return [(key, value) for place, (key, value) in enumerate(log) if last[key] == place and value is not None]


def contents(task: Task) -> tuple[list[PackedPayment], dict[str, tuple[int, int]], int]:
    """All that a ledger has: payments in order of arrival, stream times and since when rules judge, the latest time."""
    payments = [payment for shelf in task.ledger.shelves.values() for _, payment in shelf]
    windows = [watch.windows for watch in task.ledger.watches]
    times = {watched.rule.name: (watched.stream_time, watched.since) for watched in windows}
    return sorted(payments, key=lambda payment: payment.arrival), times, task.ledger.latest_ms


def segment_keys(log: Log) -> list[bytes]:
    return [key for key, value in log if value is not None and len(json.loads(key)) == 3]


def test_a_batch_is_one_segment_for_all_accounts_and_each_payment_is_written_once() -> None:
    task = Task()
    for payor in range(1000):
        task.add(NOON, payor=payor)
    records = task.commit()
    assert [json.loads(key) for key, _ in records] == [[BY_PAYOR, NOON // DAY_MS + 1, 0], [BY_PAYOR]]
    assert len(unpack_array(records[0][1] or b"")) == 1000
    assert [key for key, _ in task.commit()] == [b'["by-payor"]']


def test_a_trickle_of_payments_goes_into_the_same_segment_until_it_has_enough() -> None:
    task = Task()
    for _ in range(3 * changelog.SEGMENT_PAYMENTS):
        task.add(NOON)
        task.commit()
    assert len(segment_keys(compacted(task.log))) == 3
    assert contents(restore(compacted(task.log))[0]) == contents(task)


def test_a_segment_stays_below_what_a_broker_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changelog, "MAX_SEGMENT_BYTES", 1000)
    task = Task()
    for payor in range(100):
        task.add(NOON, payor=payor)
    records = task.commit()
    assert max(len(value or b"") for _, value in records) < 1100
    assert contents(restore(task.log)[0]) == contents(task)


def test_a_day_that_is_over_leaves_memory_and_changelog_as_a_whole() -> None:
    task = Task()
    for number in range(100):
        task.add(NOON, payor=number)
        task.commit()
    keys = set(segment_keys(task.log))
    task.add(NOON + 3 * DAY_MS)
    deleted = {key for key, value in task.commit() if value is None}
    assert deleted == keys
    assert len(task.ledger) == 1
    assert len(segment_keys(compacted(task.log))) == 1


def test_what_a_rule_that_lags_may_still_count_outlives_its_day() -> None:
    task = Task()
    task.add(NOON, amount=1.0)
    task.add(NOON, amount=1.0, payor=2)
    task.commit()
    for day in range(1, 5):
        task.add(NOON + day * DAY_MS, amount=20_000.0)  # moves the stream time of velocity alone
        task.commit()
    payments, times, _ = contents(task)
    assert [payment.cents for payment in payments if payment.at_ms == NOON] == [100, 100]
    assert times["structuring"] == (NOON, 0)
    assert contents(restore(compacted(task.log))[0]) == contents(task)
    task.add(NOON + 6 * DAY_MS, amount=1.0)
    task.commit()
    assert [payment.at_ms for payment in contents(task)[0] if payment.cents == 100] == [NOON + 6 * DAY_MS]


def test_progress_can_be_read_by_a_person() -> None:
    task = Task()
    task.add(NOON)
    key, value = task.commit()[-1]
    assert key == b'["by-payor"]'
    assert json.loads(value or b"")["rules"]["velocity"] == {
        "stream_time": NOON,
        "definition": parse(RULES, "rules.toml")[1].fingerprint,
        "kept_from": NOON - HOUR,
    }
    assert decode_progress(value or b"").rules["structuring"].amount_below == 10_000.0

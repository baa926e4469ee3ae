"""The ledger back from a changelog: whole, uncompacted, compacted, and after the rules have changed."""

import re
from collections.abc import Callable

import pytest

from fraud.detection.changelog import ChangelogError, RuleState
from fraud.detection.restore import Restored, covered_since
from fraud.detection.topology import BY_PAYEE
from fraud.rules import DAY_MS, parse
from tests.unit.fraud.detection.test_changelog import (
    HOUR,
    NOON,
    RULES,
    Log,
    Task,
    compacted,
    contents,
    restore,
    segment_keys,
)

WHOLE_AND_COMPACTED = pytest.mark.parametrize("compaction", [list, compacted])


@WHOLE_AND_COMPACTED
def test_a_ledger_comes_back_as_it_was_and_goes_on_with_the_next_arrival(compaction: Callable[[Log], Log]) -> None:
    task = Task()
    for number in range(50):
        task.add(NOON + number * 60_000, payor=number % 7)
        if number % 3 == 0:
            task.commit()
    task.commit()
    back, restored = restore(compaction(task.log))
    assert contents(back) == contents(task)
    assert back.ledger.arrivals == task.ledger.arrivals == 50
    assert restored == Restored({}, frozenset(), older=False, stale=(), due=())


def test_the_first_start_begins_with_nothing_and_no_rule_counts_as_changed() -> None:
    task, restored = restore([])
    assert contents(task) == ([], {"structuring": (-1, 0), "velocity": (-1, 0)}, -1)
    assert restored == Restored({}, frozenset(), older=False, stale=(), due=())


def test_a_case_that_had_to_wait_is_known_after_a_restore() -> None:
    task = Task()
    for _ in range(3):
        task.add(NOON)
    midnight = NOON // DAY_MS * DAY_MS
    task.commit(due=[("structuring", (1, "First", 2), midnight)])
    back, restored = restore(task.log)
    ((rule, group, start),) = restored.due
    place = back.ledger.window(rule, group, start)
    assert place is not None
    assert (place[1].payment_count, place[1].total_cents, place[1].fired_at) == (3, 1_500_000, NOON)
    assert back.ledger.window("structuring", (1, "First", 3), midnight) is None
    assert back.ledger.window("structuring", (1,), midnight) is None
    assert back.ledger.window("gone", group, midnight) is None


# Rules that have changed

STRICTER = RULES.replace("total_above = 10000.00", "total_above = 4000.00")
LONGER = RULES.replace('window = "24h"', 'window = "72h"\nadvance = "24h"')
WITHOUT_VELOCITY = RULES[: RULES.index('[[rule]]\nname = "velocity"')]


def test_a_rule_with_another_limit_judges_all_that_is_there_at_once() -> None:
    task = Task()
    task.add(NOON)
    task.commit()
    back, restored = restore(task.log, STRICTER)
    assert restored.changed == {"structuring": NOON // DAY_MS * DAY_MS}
    (watch,) = [watch for watch in back.ledger.watches if watch.windows.rule.name in restored.changed]
    ((_, start, group, window),) = back.ledger.judge([watch])
    assert (start, group, window.total_cents) == (NOON // DAY_MS * DAY_MS, (1, "First", 2), 500_000)
    assert watch.windows.stream_time == NOON


def test_a_rule_with_longer_windows_judges_from_where_the_ledger_has_all_payments() -> None:
    task = Task()
    task.add(NOON - DAY_MS)
    task.add(NOON)
    task.commit()
    assert restore(task.log, LONGER)[1].changed == {"structuring": NOON // DAY_MS * DAY_MS}


def test_a_rule_that_counts_what_none_counted_judges_from_the_next_payment_on() -> None:
    task = Task(WITHOUT_VELOCITY)
    task.add(NOON)
    task.add(NOON + 5, amount=20_000.0)
    task.commit()
    assert len(task.ledger) == 1
    assert restore(task.log, RULES)[1].changed == {"velocity": NOON + 6}
    assert restore(task.log, RULES, unseen_until_ms=NOON + 9)[1].changed == {"velocity": NOON + 10}


def test_a_rule_that_is_gone_is_told_and_what_only_it_counted_goes_with_its_day() -> None:
    task = Task()
    task.add(NOON, amount=20_000.0)
    task.commit()
    back, restored = restore(task.log, WITHOUT_VELOCITY)
    assert (restored.removed, restored.changed) == ({"velocity"}, {})
    assert len(back.ledger) == 0
    back.add(NOON + 3 * DAY_MS)
    assert segment_keys(task.log)[0] in {key for key, value in back.commit() if value is None}


def test_a_rule_changed_and_changed_back_before_anything_was_written_is_as_if_nothing_had_been() -> None:
    task = Task()
    task.add(NOON)
    task.commit()
    restore(task.log, WITHOUT_VELOCITY)
    back, restored = restore(task.log)
    assert contents(back) == contents(task)
    assert restored.changed == {}


def test_a_rule_taken_out_and_put_back_does_not_judge_what_was_not_kept_meanwhile() -> None:
    task = Task()
    task.add(NOON, amount=20_000.0)
    task.commit()
    without, _ = restore(task.log, WITHOUT_VELOCITY)
    without.add(NOON + HOUR, amount=20_000.0)
    without.commit()
    back, restored = restore(task.log + without.log)
    assert restored.changed == {"velocity": NOON + HOUR + 1}
    assert [payment.at_ms for payment in contents(back)[0]] == [NOON]


def test_a_rules_amounts_may_be_covered_by_several_rules_together() -> None:
    def state(low: float, below: float | None, since: int) -> RuleState:
        return RuleState(0, "", since, amount_from=low, amount_below=below)

    (rule, *_) = parse(RULES, "rules.toml")
    assert covered_since(rule, [state(0, 5000, 3), state(5000, 10000, 7)], 99) == 7
    assert covered_since(rule, [state(0, 5000, 3), state(5000.01, 10000, 7)], 99) == 99
    assert covered_since(rule, [state(0, 5000, 3), state(4000, None, 7), state(0, None, 8)], 99) == 7
    assert covered_since(rule, [], 99) == 99


# State of another version


def test_another_number_of_partitions_makes_state_anew_since_groups_may_have_moved() -> None:
    task = Task()
    task.add(NOON)
    task.commit()
    back, restored = restore(task.log, partitions=12)
    assert contents(back) == ([], {"structuring": (-1, NOON + 1), "velocity": (-1, NOON + 1)}, NOON)
    assert (restored.older, restored.stale) == (True, (segment_keys(task.log)[0],))


FORMAT_1: Log = [
    (b'["structuring",[100,"First National",200],1795392000000]', b"\x98"),
    (b'["structuring",[100,"First National",200],1795392000000,0]', b"segment"),
    (b'["structuring"]', b'{"stream_time":1795392000000,"definition":"1-0123456789abcdef"}'),
    (b'["gone"]', b'{"stream_time":1795392000000,"definition":"1-0123456789abcdef"}'),
]


def test_state_of_format_1_is_deleted_by_the_stage_by_payor() -> None:
    task, restored = restore(FORMAT_1)
    assert contents(task)[1] == {"structuring": (-1, 0), "velocity": (-1, 0)}
    assert (restored.older, set(restored.stale)) == (True, {key for key, _ in FORMAT_1})
    deleted: Log = [*FORMAT_1, *((key, None) for key in restored.stale)]
    assert not restore(deleted)[1].older
    assert not restore(FORMAT_1, stage=BY_PAYEE)[1].older


def test_each_stage_goes_by_its_own_records() -> None:
    task = Task()
    task.add(NOON)
    task.commit()
    assert contents(restore(task.log, stage=BY_PAYEE)[0])[0] == []


# Records that cannot be read

BAD_KEYS: list[bytes | None] = [
    *(
        b"",
        b"structuring",
        b"{}",
        b"[]",
        b"[1]",
        b'["r",[1.5],0]',
        b'["r",[1],"0"]',
        b"\xff",
        b'["\xff"]',
        b"[" * 10_000,
    ),
    None,
]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_is_none_is_an_error_that_shows_it_and_says_what_to_do(key: bytes | None) -> None:
    with pytest.raises(ChangelogError, match=rf"{re.escape(repr(key))} cannot be read.* with a null value"):
        restore([(key, b"")])  # type: ignore[list-item]


@pytest.mark.parametrize("key", [b'["by-payor",20000,0]', b'["by-payor"]'])
@pytest.mark.parametrize("value", [b"", b"{", b"\x91\x01", b"\xff", b"\x91" * 10_000, b"[" * 10_000])
def test_a_value_that_is_none_is_an_error_that_shows_its_key(key: bytes, value: bytes) -> None:
    task = Task()
    task.commit()
    with pytest.raises(ChangelogError, match=re.escape(repr(key))):
        restore([*task.log, (key, value)])


@pytest.mark.parametrize("key", [key for key in BAD_KEYS if key is not None])
def test_what_cannot_be_read_is_no_error_once_a_null_value_has_come_for_its_key(key: bytes) -> None:
    task = Task()
    task.add(NOON)
    task.commit()
    assert contents(restore([(key, b"garbage"), *task.log, (key, None)])[0]) == contents(task)

"""Whatever a task writes to its changelog comes back the same, compacted or not; what is stale does not."""

import json
import re
from collections.abc import Callable, Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.detection.changelog import (
    ChangelogError,
    Restore,
    Restored,
    decode_key,
    decode_stream_time,
    decode_window,
    definition,
    segment_key,
    stream_time_key,
    stream_time_value,
    window_key,
    window_keys,
    window_value,
)
from fraud.detection.packed import pack, unpack
from fraud.rules import Rule, parse
from fraud.windows import SEGMENT_PAYMENTS, Group, RuleWindows, Window
from schemas.case import ListedPayment
from schemas.kafka.topics import RAW_TOPICS
from schemas.payment import Payment

NOON = 1_795_392_000_000
HOUR = 3_600_000
RULES = """
[[rule]]
name = "structuring"
group_by = ["payor_account_no", "payee_bank", "payee_account_no"]
window = "1h"
grace = "0s"
total_above = 10000.00

[[rule]]
name = "fan_out"
group_by = ["payor_account_no"]
window = "1h"
grace = "0s"
min_distinct = { of = ["payee_bank", "payee_account_no"], count = 3 }
"""

Changelog = dict[bytes, bytes]
"""A compacted one: keys in order of their last write."""


def rules(change: Callable[[str], str] = str) -> dict[str, Rule]:
    return {rule.name: rule for rule in parse(change(RULES), "test.toml")}


def tasks(change: Callable[[str], str] = str) -> dict[str, RuleWindows]:
    return {name: RuleWindows(rule) for name, rule in rules(change).items()}


def payment(number: int, payor: int = 1, payee: int = 2) -> Payment:
    return Payment(str(UUID(int=number)), "First\tNational", payee, 10.5, "Wire", payor)


def write(log: list[tuple[bytes, bytes | None]], windows: RuleWindows, made: Payment, at: int) -> None:
    """What a task does for one payment: state, new segments, stream time, tombstones."""
    name = windows.rule.name
    for start, group, window in windows.add(made, at, pack(made, at, "payment_avro")):
        if window is not None:
            if window.sealed and not window.tail and window.payment_count <= 1000:
                number = len(window.sealed) - 1
                log.append((segment_key(name, start, group, number), window.sealed[number]))
            log.append((window_key(name, start, group), window_value(window)))
    for closed in windows.close():
        log.extend((key, None) for key in window_keys(name, *closed))
    log.append((stream_time_key(name), stream_time_value(windows)))


def written(payments: list[tuple[int, int, int]]) -> tuple[dict[str, RuleWindows], list[tuple[bytes, bytes | None]]]:
    """Tasks that took payments of (payor, payee, time), and their changelog, uncompacted."""
    by_rule, log = tasks(), []  # type: ignore[var-annotated]
    for number, (payor, payee, at) in enumerate(payments):
        for windows in by_rule.values():
            write(log, windows, payment(number, payor, payee), at)
    return by_rule, log


def compacted(log: list[tuple[bytes, bytes | None]]) -> list[tuple[bytes, bytes | None]]:
    last: dict[bytes, bytes | None] = {}
    for key, value in log:
        last.pop(key, None)
        last[key] = value
    return [(key, value) for key, value in last.items() if value is not None]


def restore(
    log: Sequence[tuple[bytes | None, bytes | None]], change: Callable[[str], str] = str
) -> tuple[dict[str, RuleWindows], Restored]:
    by_rule = tasks(change)
    restoring = Restore(by_rule)
    for key, value in log:
        restoring.take(key, value)
    return by_rule, restoring.finish()


def contents(by_rule: dict[str, RuleWindows]) -> dict[str, tuple[int, list[tuple[int, Group, Window]]]]:
    return {
        name: (windows.stream_time, sorted(windows, key=lambda each: each[:2])) for name, windows in by_rule.items()
    }


HOT = [(1, place % 2, NOON) for place in range(2100)]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(NOON, NOON + 4 * HOUR)), max_size=60))
def test_restoring_gives_back_what_was_there(payments: list[tuple[int, int, int]]) -> None:
    before, log = written(payments)
    for kept in (log, compacted(log)):
        after, restored = restore(kept)
        assert contents(after) == contents(before)
        assert restored == Restored(frozenset(), ())


@pytest.mark.parametrize("number", [19, 20, 21, 39, 40, 1999, 2000, 2001, 2100])
def test_restoring_gives_back_the_segments_of_hot_windows(number: int) -> None:
    before, log = written(HOT[:number])
    for kept in (log, compacted(log)):
        assert contents(restore(kept)[0]) == contents(before)


def test_segments_may_come_after_their_window() -> None:
    before, log = written(HOT[:100])
    kept = compacted(log)
    assert contents(restore(kept[::-1])[0]) == contents(before)


def test_a_restored_window_goes_on_as_if_nothing_had_happened() -> None:
    everything, _ = written([*HOT[:130], (1, 1, NOON + 5)])
    _, log = written(HOT[:130])
    halfway, _ = restore(compacted(log))
    for windows in halfway.values():
        last = payment(130, 1, 1)
        windows.add(last, NOON + 5, pack(last, NOON + 5, "payment_avro"))
    assert contents(halfway) == contents(everything)


def test_closed_windows_are_gone_from_a_compacted_changelog() -> None:
    _, log = written([*HOT, (7, 7, NOON + HOUR)])
    assert {decode_key(key).start for key, _ in compacted(log)} == {NOON + HOUR, None}


def test_a_hot_windows_update_is_small_and_its_segments_are_written_once() -> None:
    _, log = written(HOT)
    segments = [key for key, _ in log if decode_key(key).segment is not None]
    assert len(segments) == len(set(segments))
    updates = [len(value) for key, value in log if value and decode_key(key).start and decode_key(key).segment is None]
    assert max(updates) < SEGMENT_PAYMENTS * 45 + 60
    assert min(updates[-2:]) < 60  # the last update of structuring's: fan_out's has the payees it has seen, too


# Rules that have changed


REDEFINED = RULES.replace("10000.00", "9000.00")
WITHOUT_FAN_OUT = RULES[: RULES.index('[[rule]]\nname = "fan_out"')]


def keys_of(rule: str, log: list[tuple[bytes, bytes | None]]) -> list[bytes]:
    """What the changelog has of a rule's windows."""
    return sorted(key for key, _ in compacted(log) if decode_key(key).rule == rule and decode_key(key).group)


@pytest.mark.parametrize("kept", [lambda log: log, compacted])
@pytest.mark.parametrize("payments", [HOT[:50], [*HOT[:50], (1, 1, NOON + HOUR)]])
def test_state_of_a_rule_that_is_defined_differently_now_is_dropped_and_its_keys_are_told(
    payments: list[tuple[int, int, int]],
    kept: Callable[[list[tuple[bytes, bytes | None]]], list[tuple[bytes, bytes | None]]],
) -> None:
    before, log = written(payments)
    after, restored = restore(kept(log), lambda _: REDEFINED)
    assert contents(after) == {**contents(before), "structuring": (-1, [])}
    assert restored.reset == {"structuring"}
    assert sorted(restored.stale) == keys_of("structuring", log)


def test_state_of_a_rule_that_is_gone_is_told() -> None:
    _, log = written(HOT[:50])
    _, restored = restore(log, lambda _: WITHOUT_FAN_OUT)
    assert restored.reset == {"fan_out"}
    assert sorted(restored.stale) == sorted([*keys_of("fan_out", log), stream_time_key("fan_out")])


@pytest.mark.parametrize("changed", [REDEFINED, WITHOUT_FAN_OUT])
def test_deleting_the_stale_keys_ends_it(changed: str) -> None:
    _, log = written(HOT[:50])
    by_rule, restored = restore(log, lambda _: changed)
    log += [(key, None) for key in restored.stale]
    log.append((stream_time_key("structuring"), stream_time_value(by_rule["structuring"])))
    for kept in (log, compacted(log)):
        again = restore(kept, lambda _: changed)[1]
        assert (list(again.reset), list(again.stale)) == ([], [])


def test_stream_time_of_a_changed_rule_begins_anew_even_if_it_has_no_windows() -> None:
    by_rule = tasks()
    by_rule["structuring"].stream_time = NOON
    log: list[tuple[bytes, bytes | None]] = [
        (stream_time_key("structuring"), stream_time_value(by_rule["structuring"]))
    ]
    after, restored = restore(log, lambda text: text.replace("10000.00", "9000.00"))
    assert after["structuring"].stream_time == -1
    assert (set(restored.reset), list(restored.stale)) == ({"structuring"}, [])


def test_windows_without_a_stream_time_are_stale() -> None:
    _, log = written([(1, 1, NOON)])
    kept = [(key, value) for key, value in log if key != b'["fan_out"]']
    _, restored = restore(kept)
    assert (set(restored.reset), list(restored.stale)) == ({"fan_out"}, [b'["fan_out",[1],1795392000000]'])


def test_a_new_rule_begins_with_nothing() -> None:
    _, log = written(HOT[:50])
    after, restored = restore(log, lambda text: text + text.split("\n\n")[0].replace("structuring", "new"))
    assert (len(after["new"]), after["new"].stream_time, restored.reset) == (0, -1, frozenset())


# Records


def test_keys_can_be_read_by_a_person() -> None:
    group = (100, 'Österreichische "Bank"', 200)
    assert window_key("structuring", NOON, group).decode() == (
        '["structuring",[100,"Österreichische \\"Bank\\"",200],1795392000000]'
    )
    assert json.loads(segment_key("structuring", NOON, group, 3)) == ["structuring", [*group[:1], *group[1:]], NOON, 3]
    assert stream_time_key("fan_out") == b'["fan_out"]'


def test_the_stream_time_names_the_definition_of_its_rule() -> None:
    windows = tasks()["fan_out"]
    windows.stream_time = NOON
    value = decode_stream_time(stream_time_value(windows))
    assert (value.stream_time, value.definition) == (NOON, definition(windows.rule))
    assert definition(windows.rule) == f"1-{windows.rule.fingerprint}"


def test_a_window_is_kept_with_its_open_tail_but_without_its_segments() -> None:
    window = Window(25, 100_000_000_000_000_01, 1e12, NOON, NOON + 1, b"tail", {1, (2, "B"), "x"}, 24, [b"segment"])
    back = decode_window(window_value(window))
    assert back == Window(25, 100_000_000_000_000_01, 1e12, NOON, NOON + 1, b"tail", {1, (2, "B"), "x"}, 24, None)


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
    *(b'["fan_out",[1,2],0]', None),
]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_is_none_is_an_error_that_shows_it_and_says_what_to_do(key: bytes | None) -> None:
    with pytest.raises(ChangelogError, match=rf"{re.escape(repr(key))} cannot be read.* with a null value"):
        restore([(key, b"")])


@pytest.mark.parametrize("key", [window_key("fan_out", NOON, (1,)), stream_time_key("fan_out")])
@pytest.mark.parametrize("value", [b"", b"{", b"\x91\x01", b"\xff", b"\x91" * 10_000, b"[" * 10_000])
def test_a_value_that_is_none_is_an_error_that_shows_its_key(key: bytes, value: bytes) -> None:
    with pytest.raises(ChangelogError, match=re.escape(repr(key))):
        restore([(key, value)])


@pytest.mark.parametrize("key", [key for key in BAD_KEYS if key is not None])
def test_what_cannot_be_read_is_no_error_once_a_null_value_has_come_for_its_key(key: bytes) -> None:
    _, log = written([(1, 1, NOON)])
    assert contents(restore([(key, b"garbage"), *log, (key, None)])[0]) == contents(restore(log)[0])


def test_a_missing_segment_is_an_error_that_shows_which() -> None:
    _, log = written([(1, 1, NOON)] * 45)
    kept = [(key, value) for key, value in log if not key.endswith(b",1]") or b"structuring" not in key]
    with pytest.raises(
        ChangelogError, match=r'segment 1 of the window \["structuring",\[1,"First\\tNational",1\],1795392000000\]'
    ):
        restore(kept)


# Packed payments


ODD_IDS = [
    "0000000-00000-0000-0000-000000000001",
    "-0000000-0000-0000-0000-000000000001",
    "abcdefAB-0000-0000-0000-000000000001",
    "a0000000-0000-0000-0000-0000 00000001",
    "g0000000-0000-0000-0000-000000000001",
    "\u06600000000-0000-0000-0000-000000000001",
]


@pytest.mark.parametrize("the_id", ODD_IDS)
def test_what_only_looks_like_a_uuid_comes_back_the_same(the_id: str) -> None:
    packed = pack(Payment(the_id, "Bank", 1, 1.0, "ACH", 2), NOON, "payment_json")
    assert [each.id for each in unpack([packed], 1)] == [the_id]


@given(
    st.one_of(
        st.uuids().map(str),
        st.uuids().map(lambda each: str(each).upper()),
        st.text(max_size=40),
        st.text("0123456789abcdefABCDEF- ", min_size=36, max_size=36),
    ),
    st.sampled_from([*RAW_TOPICS, "payments", ""]),
    st.integers(0, 2**63),
)
def test_a_packed_payment_comes_back_the_same(the_id: str, topic: str, at: int) -> None:
    made = Payment(the_id, "Bank", 1, 9999.99, "Überweisung", 2)
    packed = pack(made, at, topic)
    back = ListedPayment(the_id, 9999.99, "Überweisung", at, topic)
    assert unpack([packed, packed], 2) == [back, back]
    assert unpack([], 0) == []


def test_a_usual_payment_packs_into_42_bytes_whichever_raw_topic_it_came_from() -> None:
    made = Payment("6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b", "Bank", 1, 9999.99, "ACH", 2)
    assert {len(pack(made, NOON, topic)) for topic in RAW_TOPICS} == {42}


def test_packed_payments_can_be_read_by_later_versions() -> None:
    """They stand in changelogs: what has once been written must stay readable."""
    old = bytes.fromhex("95c4106f1c2a345b6d4e7f8a9b0c1d2e3f4a5bcb40c387fd70a3d70acf000001a205bbc600a341434802")
    (payment_back,) = unpack([old], 1)
    assert payment_back == ListedPayment(
        "6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b", 9999.98, "ACH", 1_795_392_521_728, "payment_protobuf"
    )

"""The ledger against the windows themselves: whatever comes, in whatever order, both say the same."""

import os
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.deduplication import Repeated, TaskWindows
from fraud.detection import judgement, partition_keys, shelves
from fraud.detection.changelog import Segments, progress
from fraud.detection.ledger import Ledger
from fraud.detection.packed import Origin, PackedPayment, list_payments, pack, unpack, unpack_array
from fraud.detection.restore import Restore, Restored
from fraud.detection.topology import BY_PAYEE, BY_PAYOR
from fraud.rules import DAY_MS, Rule, parse
from schemas.kafka.topics import PAYMENTS, PAYMENTS_BY_PAYEE
from schemas.payment import Payment

NOON = 1_795_392_000_000
HOUR = 3_600_000
PARTITIONS = 6
LETTERS = 0xABCDEF << 100
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))

BY_PAYOR_GROUPS = [
    '["payor_account_no", "payee_bank", "payee_account_no"]',
    '["payor_account_no"]',
    '["payee_account_no", "payor_account_no"]',
    '["payor_account_no", "payee_bank"]',
]
BY_PAYEE_GROUPS = ['["payee_bank", "payee_account_no"]', '["payee_account_no", "payee_bank"]']
AMOUNTS = [0.01, 1.0, 2999.99, 3000.0, 3333.34, 5000.0, 5000.01, 8999.99, 9000.0, 9999.99, 10000.0, 10000.01, 1e12]


def account_of(stage: str) -> Callable[[Payment], Any]:
    return partition_keys.account_of(PAYMENTS if stage == BY_PAYOR else PAYMENTS_BY_PAYEE)


def toml(keys: dict[str, str]) -> str:
    return "[[rule]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())


@st.composite
def rule_keys(draw: Callable[[Any], Any], groups: Sequence[str], name: str) -> dict[str, str]:
    """A rule that fires now and then."""
    keys = {"name": f'"{name}"', "group_by": draw(st.sampled_from(groups))}
    size, advance = draw(
        st.sampled_from(
            [("10m", None), ("24h", None), ("72h", "24h"), ("24h", "6h"), ("3d", "7h"), ("25m", "10m"), ("7d", "1d")]
        )
    )
    keys["window"] = f'"{size}"'
    if advance:
        keys["advance"] = f'"{advance}"'
    if grace := draw(st.sampled_from([None, "0s", "1h", "1ms"])):
        keys["grace"] = f'"{grace}"'
    if low := draw(st.sampled_from([None, "3000", "9000"])):
        keys["amount_from"] = low
    if below := draw(st.sampled_from([None, "10000", "10000.01"])):
        keys["amount_below"] = below
    conditions = draw(st.lists(st.sampled_from(["total", "count", "distinct"]), min_size=1, unique=True))
    if "total" in conditions:
        keys["total_above"] = draw(st.sampled_from(["0", "9999.99", "10000", "25000"]))
    if "count" in conditions:
        keys["min_payments"] = draw(st.sampled_from(["1", "2", "3", "10"]))
    if "distinct" in conditions:
        of = "payee_account_no" if "payor" in keys["group_by"] else "payor_account_no"
        if of not in keys["group_by"]:
            keys["min_distinct"] = f'{{ of = ["{of}"], count = {draw(st.sampled_from([1, 2, 3]))} }}'
        else:
            keys.setdefault("min_payments", "2")
    if draw(st.booleans()) and "payee_bank" in keys["group_by"]:
        keys["fold_banks"] = "true"
    return keys


@st.composite
def rule_sets(draw: Callable[[Any], Any]) -> tuple[tuple[Rule, ...], bool]:
    """Up to three rules of one stage, and whether that is the one by payor."""
    by_payor = draw(st.booleans())
    groups = BY_PAYOR_GROUPS if by_payor else BY_PAYEE_GROUPS
    count = draw(st.integers(1, 3))
    texts = [toml(draw(rule_keys(groups, f"r{number}"))) for number in range(count)]
    return parse("\n".join(texts), "rules.toml"), by_payor


@st.composite
def payments(draw: Callable[[Any], Any]) -> list[tuple[Payment, int]]:
    """Payments of few accounts, in bursts, mostly forward in time, some late, some with an id that was there."""
    arrivals: list[tuple[Payment, int]] = []
    at = NOON
    for _ in range(draw(st.integers(1, 12))):
        at += draw(st.sampled_from([0, 1, 60_000, HOUR, 5 * HOUR, DAY_MS, 3 * DAY_MS]))
        late = draw(st.sampled_from([0, 0, 0, 1, HOUR, 2 * HOUR, DAY_MS + 1, 5 * DAY_MS]))
        step = draw(st.sampled_from([0, 1, 1000, 300_000]))
        bank = draw(st.sampled_from(["First", "first ", "Second"]))
        payor, payee = draw(st.integers(1, 2)), draw(st.sampled_from([1, 2, 70_000]))
        amounts = draw(st.lists(st.sampled_from(AMOUNTS), min_size=1, max_size=8))
        again = draw(st.integers(0, 9)) == 0
        for number, amount in enumerate(amounts):
            text = str(UUID(int=LETTERS + len(arrivals)))
            if again and arrivals:
                text = draw(st.sampled_from([str, str.upper, str.lower]))(arrivals[-1][0].id)
            to = payee + number if draw(st.integers(0, 3)) == 0 else payee
            arrivals.append((Payment(text, bank, to, amount, "ACH", payor), at - late + number * step))
    return arrivals


WindowVersion = tuple[str, int, tuple[Any, ...], Any]


def window_version(windows: Any, start: int, group: Any, window: Any) -> WindowVersion:
    """A window without what does not matter: the numbers by which its payments have arrived."""
    if window is None:
        return windows.rule.name, start, group, None
    what = (window.payment_count, window.total_cents, window.max_amount, window.first_at, window.last_at)
    return windows.rule.name, start, group, (*what, window.fired_at, list_payments(window.payments))


def by_windows(
    rules: Sequence[Rule], arrivals: list[tuple[Payment, int]], account: Callable[[Payment], Any]
) -> list[list[WindowVersion]]:
    """The windows' answers to each payment: those that fire, and those that it was late for."""
    task, answers = TaskWindows(rules), []
    for offset, (payment, at) in enumerate(arrivals):
        packed = pack(payment, at, 0, Origin("payment_json", 0, offset))
        verdict = task.add(account(payment), payment.id, payment, at, packed)
        if isinstance(verdict, Repeated):
            answers.append([repeat(verdict)])
        else:
            answers.append(
                [
                    window_version(windows, start, group, window)
                    for windows, outcomes in verdict
                    for start, group, window in outcomes
                    if window is None or windows.fires(window)
                ]
            )
    return answers


def repeat(repeated: Repeated) -> WindowVersion:
    places = [(windows.rule.name, start, group) for windows, start, group in repeated.windows]
    return "repeated", unpack([repeated.first])[0].offset, tuple(places), None


class CompactedLog:
    """A changelog's records, compacted."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes | None] = {}

    def write(self, ledger: Ledger, segments: Segments, stage: str) -> None:
        expired = ledger.expire()
        for key, value in segments.write(ledger.added, expired):
            self.records.pop(key, None)
            self.records[key] = value
        ledger.added.clear()
        key, value = progress(stage, ledger, PARTITIONS, ())
        self.records[key] = value

    def restored(self, rules: Sequence[Rule], stage: str) -> tuple[Ledger, Segments, Restored]:
        ledger, segments = Ledger(rules), Segments(stage)
        restore = Restore(stage, ledger, account_of(stage), PARTITIONS)
        for key, value in self.records.items():
            restore.take(key, value)
        assert sum(restore.fill(segments)) >= 0
        return ledger, segments, restore.finish()


def by_ledger(
    rules: Sequence[Rule], arrivals: list[tuple[Payment, int]], stage: str, batches: Sequence[int]
) -> list[list[WindowVersion]]:
    """A ledger's answers, committed after each of these numbers of payments; after a negative one, restored."""
    ledger, segments, changelog, answers = Ledger(rules), Segments(stage), CompactedLog(), []
    account = account_of(stage)
    commits = {sum(map(abs, batches[: place + 1])): batch for place, batch in enumerate(batches)}
    for offset, (payment, at) in enumerate(arrivals):
        verdict = ledger.add(account(payment), payment, at, Origin("payment_json", 0, offset))
        if isinstance(verdict, Repeated):
            answers.append([repeat(verdict)])
        else:
            answers.append([window_version(*judgement) for judgement in verdict])
        if batch := commits.get(offset + 1):
            list(ledger.close())
            changelog.write(ledger, segments, stage)
            if batch < 0:
                ledger, segments, restored = changelog.restored(rules, stage)
                assert restored == Restored({}, frozenset(), older=False, stale=(), due=())
    return answers


SOME = st.lists(st.integers(-9, 9).filter(bool), max_size=30)


@given(rule_sets(), payments(), SOME, st.sampled_from([(16, 64), (0, 3), (3, 2), (1000, 1)]))
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_ledger_says_of_every_payment_what_the_windows_say(
    rule_set: tuple[tuple[Rule, ...], bool],
    arrivals: list[tuple[Payment, int]],
    batches: list[int],
    limits: tuple[int, int],
) -> None:
    rules, by_payor = rule_set
    stage = BY_PAYOR if by_payor else BY_PAYEE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judgement, "RUNNING_PAYMENTS", limits[0])
        patch.setattr(shelves, "VOLUME_PAYMENTS", limits[1])
        assert by_ledger(rules, arrivals, stage, batches) == by_windows(rules, arrivals, account_of(stage))


Window = tuple[str, int, tuple[Any, ...]]


def last_versions(versions: Sequence[WindowVersion]) -> dict[Window, Any]:
    """Each window as it fired last."""
    return {(rule, start, group): window for rule, start, group, window in versions if window is not None}


class ChangingRules:
    """A ledger under one of two sets of rules by turns, and each window as it says that it fired last."""

    def __init__(self, today: Sequence[Rule], tomorrow: Sequence[Rule], stage: str) -> None:
        self.today, self._tomorrow, self._stage = today, tomorrow, stage
        self.changed_at = 0
        """The arrival before which rules changed last."""
        self.versions: list[WindowVersion] = []
        self._changelog = CompactedLog()
        self.ledger, self._segments = Ledger(today), Segments(stage)

    def change(self, offset: int, *, dies: bool) -> None:
        """Restart under the other rules; where the task `dies` before it has written anything more, under the same."""
        list(self.ledger.close())
        self._write()
        self.ledger, self._segments, restored = self._changelog.restored(self._tomorrow, self._stage)
        if dies:
            self.ledger, self._segments, restored = self._changelog.restored(self.today, self._stage)
            assert not restored.changed
            return
        self.today, self._tomorrow, self.changed_at = self._tomorrow, self.today, offset
        watches = [watch for watch in self.ledger.watches if watch.windows.rule.name in restored.changed]
        anew = restored.changed | dict.fromkeys(restored.removed)
        self.versions = [version for version in self.versions if version[0] not in anew]
        self.versions += [window_version(*judgement) for judgement in self.ledger.judge(watches)]
        self._write()

    def add(self, offset: int, payment: Payment, at: int) -> None:
        judgements = self.ledger.add(account_of(self._stage)(payment), payment, at, Origin("payment_json", 0, offset))
        assert not isinstance(judgements, Repeated)
        self.versions += [window_version(*judgement) for judgement in judgements]

    def _write(self) -> None:
        self._changelog.write(self.ledger, self._segments, self._stage)


def windows_by(
    rules: Sequence[Rule], arrivals: list[tuple[Payment, int]], stage: str, changed_at: int
) -> tuple[dict[Window, Any], dict[str, int]]:
    """Each window as it fired last under these rules; and by rule, what had closed before arrival `changed_at`."""
    task, versions = TaskWindows(rules), {}
    closed_until = {windows.rule.name: -1 for windows in task}
    for offset, (payment, at) in enumerate(arrivals):
        if offset == changed_at:
            closed_until = {windows.rule.name: windows.closed_until for windows in task}
        packed = pack(payment, at, 0, Origin("payment_json", 0, offset))
        outcomes_by_rule = task.add(account_of(stage)(payment), payment.id, payment, at, packed)
        assert not isinstance(outcomes_by_rule, Repeated)
        versions |= last_versions(
            [
                window_version(windows, *outcome)
                for windows, outcomes in outcomes_by_rule
                for outcome in outcomes
                if outcome[2] and windows.fires(outcome[2])
            ]
        )
    return versions, closed_until


@given(rule_sets(), st.data(), payments(), st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=4))
@settings(max_examples=EXAMPLES, deadline=None)
def test_rules_that_change_judge_what_the_ledger_has_and_leave_alone_what_it_may_lack(
    rule_set: tuple[tuple[Rule, ...], bool],
    data: st.DataObject,
    arrivals: list[tuple[Payment, int]],
    changes: list[tuple[int, bool]],
) -> None:
    """`changes`: after how many payments rules change, and whether the task dies before it writes anything more."""
    rules, by_payor = rule_set
    stage, groups = (BY_PAYOR, BY_PAYOR_GROUPS) if by_payor else (BY_PAYEE, BY_PAYEE_GROUPS)
    others = parse("\n".join(toml(data.draw(rule_keys(groups, name))) for name in ("r0", "r1", "other")), "rules.toml")
    arrivals = [
        (msgspec.structs.replace(payment, id=str(UUID(int=number))), at)
        for number, (payment, at) in enumerate(arrivals)
    ]
    changing = ChangingRules(rules, others, stage)
    for offset, (payment, at) in enumerate(arrivals):
        for _, dies in (change for change in changes if change[0] == offset):
            changing.change(offset, dies=dies)
        changing.add(offset, payment, at)
    of_ledger = last_versions(changing.versions)
    of_windows, closed_until = windows_by(changing.today, arrivals, stage, changing.changed_at)
    by_name = {watch.windows.rule.name: watch.windows for watch in changing.ledger.watches}
    open_then = {
        window: version
        for window, version in of_windows.items()
        if window[1] >= by_name[window[0]].since and by_name[window[0]].window_end(window[1]) > closed_until[window[0]]
    }
    assert {window: version for window, version in of_ledger.items() if window in open_then} == open_then
    assert all(of_windows.get(window) == version for window, version in of_ledger.items())


@pytest.mark.parametrize("volume", [2, 64])
def test_payments_that_came_onto_a_shelf_out_of_order_are_judged_as_they_arrived(
    volume: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves, "VOLUME_PAYMENTS", volume)
    rules = parse(toml({"name": '"r"', "group_by": BY_PAYEE_GROUPS[0], "window": '"10m"', "total_above": "5"}), "rules")
    ledger, at = Ledger(rules), 20_000 * DAY_MS
    payments = [Payment(str(UUID(int=number)), "First", 1, 1.0 + number, "ACH", 1) for number in range(4)]
    origin = Origin("payment_json", 0, 0)
    packed = unpack([pack(payment, at + number, number, origin) for number, payment in enumerate(payments)])
    account = account_of(BY_PAYEE)(payments[0])
    day = (at + ledger.filter(100).span_ms) // DAY_MS
    ledger.put(day, [(account, packed[row]) for row in (0, 2, 1)])
    [(_, _, _, window)] = ledger.add(account, payments[3], at + 3, origin)  # type: ignore[misc]
    assert window is not None
    assert [payment.id for payment in list_payments(window.payments)] == [payment.id for payment in payments]
    assert window.fired_at == at + 2


@pytest.mark.parametrize("columns", [group for group in BY_PAYOR_GROUPS if "bank" in group or "payee" in group])
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda number: Payment(str(UUID(int=number % 500)), "Bank", 0, 6000.0, "ACH", 1), id="repeated"),
        pytest.param(lambda number: Payment(str(UUID(int=number)), f"B {number}", 0, 6000.0, "ACH", 1), id="banks"),
        pytest.param(lambda number: Payment(str(UUID(int=number)), "Bank", number, 6000.0, "ACH", 1), id="accounts"),
    ],
)
def test_a_payment_of_a_hot_account_costs_the_same_however_many_there_are(
    make: Callable[[int], Payment], columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = 0

    def counted(array: bytes) -> list[PackedPayment]:
        nonlocal unpacked
        payments = unpack_array(array)
        unpacked += len(payments)
        return payments

    monkeypatch.setattr(shelves, "unpack_array", counted)
    keys = {"name": '"r"', "group_by": columns, "window": '"24h"'}
    ledger = Ledger(parse(toml({**keys, "total_above": "10000"}), "rules.toml"))
    by_thousand = []
    for number in range(2000):
        ledger.add(1, make(number), NOON + number, Origin("payment_json", 0, number))
        if number % 1000 == 999:
            by_thousand.append(unpacked)
            unpacked = 0
    assert by_thousand[1] <= by_thousand[0]

"""The state of a task as records of its changelog, and back.

    key                        value
    ["by-payor",20657,12]      segment 12 of the ledger: a msgpack array of packed payments
    ["by-payor"]               stream times, and which definitions of the rules they are of (JSON)

Keys are JSON so that a person with a console consumer can read them: stage, day, number. All payments of a segment lie
on the shelf of its day (see `fraud.detection.ledger`), and when that goes, so does the segment, by a null value.

A task writes all that a batch changed in one transaction: each payment once, in few segments, whatever the number of
accounts. A segment with few payments is written anew with those of the next batch, so that a trickle of payments does
not leave a record for each.

Both stages keep their state in the same partition; each goes by the keys that begin with its own name. Keys that begin
with the name of a rule are those of format 1, which kept windows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter
from typing import NamedTuple

import msgspec

from fraud.detection.ledger import Ledger
from fraud.detection.packed import FORMAT, array_of, unpack_array
from fraud.detection.partition_keys import AccountKey
from fraud.detection.topology import BY_PAYOR, INPUTS
from fraud.detection.watches import Watch
from fraud.rules import DAY_MS, Rule
from fraud.windows import Counted, Group
from schemas.errors import DECODE_ERRORS, UndertenError

SEGMENT_PAYMENTS = 16
"""A segment with fewer payments is written anew with the next ones of its day."""
MAX_SEGMENT_BYTES = 200_000
"""Far below what a broker takes as a record."""


class ChangelogError(UndertenError):
    """A changelog does not hold what was written to it: a record cannot be read."""


_REMEDY = (
    "Write that key with a null value to this partition to go on without: if it was a segment, its payments are not in "
    "their cases then, and `fraud replay` finds what that hides"
)


class RuleState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule's state in a task. `definition` is that of the rule as it was then.

    All payments of `amount_from` and more, below `amount_below`, that were made at `kept_from` or later are in the
    ledger; windows that begin before `since` are left alone.
    """

    stream_time: int
    definition: str
    kept_from: int
    since: int = 0
    amount_from: float = 0.0
    amount_below: float | None = None


class TaskProgress(msgspec.Struct, frozen=True, omit_defaults=True):
    """Progress of a stage's task: its state besides its payments.

    `latest_ms` is the largest time of any payment that came, counted or not; `due` are cases to be written: rule,
    group, window start.
    """

    format: int
    partitions: int
    latest_ms: int
    rules: dict[str, RuleState]
    due: list[tuple[str, Group, int]] = []


_encode_json = msgspec.json.Encoder().encode
_decode_progress = msgspec.json.Decoder(TaskProgress).decode
_decode_key = msgspec.json.Decoder(list[str | int | list[str | int]]).decode


class SegmentKey(NamedTuple):
    """A segment's key."""

    stage: str
    day: int
    number: int


def decode_progress(value: bytes) -> TaskProgress:
    """Raises ChangelogError."""
    try:
        return _decode_progress(value)
    except DECODE_ERRORS as error:
        raise ChangelogError(f"it is no progress of a stage: {error}") from None


def decode_key(key: bytes | None) -> tuple[str, SegmentKey | None]:
    """Whose key it is, a stage's or in format 1 a rule's, and which segment's; raises ChangelogError."""
    try:
        match _decode_key(key or b""):
            case [str(stage), int(day), int(number)]:
                return stage, SegmentKey(stage, day, number)
            case [str(stage)] | [str(stage), list(), int()] | [str(stage), list(), int(), int()]:
                return stage, None
            case _:
                raise ChangelogError("it is no key")
    except DECODE_ERRORS as error:
        raise ChangelogError(f"it is no key: {error}") from None


def rule_state(watch: Watch) -> RuleState:
    """A rule's state now."""
    rule, windows = watch.windows.rule, watch.windows
    return RuleState(
        windows.stream_time,
        rule.fingerprint,
        max(windows.since, windows.first_open),
        windows.since,
        rule.amount_from or 0.0,
        rule.amount_below,
    )


def progress(stage: str, ledger: Ledger, partitions: int, due: Iterable[tuple[str, Group, int]]) -> tuple[bytes, bytes]:
    """The record of how far a stage's task has come, see `TaskProgress`."""
    rules = {watch.windows.rule.name: rule_state(watch) for watch in ledger.watches}
    return _encode_json((stage,)), _encode_json(TaskProgress(FORMAT, partitions, ledger.latest_ms, rules, list(due)))


class Segments:
    """The segments that a changelog has of a stage's ledger, and what to write next."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._next = 0
        self._keys: dict[int, list[bytes]] = {}
        """By shelf."""
        self._tails: dict[int, list[bytes]] = {}
        """By shelf: the payments of its last segment, if they are few."""

    def put(self, key: SegmentKey, day: int) -> None:
        """A segment that is there already, and the shelf that its payments lie on."""
        self._keys.setdefault(day, []).append(_encode_json(key))
        self._next = max(self._next, key.number + 1)

    def write(self, added: Iterable[tuple[int, bytes]], expired: Iterable[int]) -> Iterator[tuple[bytes, bytes | None]]:
        """Records for payments that were put on shelves (day, packed), and for shelves that are gone since."""
        by_day: dict[int, list[bytes]] = {}
        for day, packed in added:
            by_day.setdefault(day, []).append(packed)
        for day in expired:
            by_day.pop(day, None)
            self._tails.pop(day, None)
            for key in self._keys.pop(day, ()):
                yield key, None
        for day, payments in by_day.items():
            yield from self._write_day(day, payments)

    def _write_day(self, day: int, payments: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
        tail = self._tails.pop(day, None)
        for segment in _cut([*(tail or ()), *payments]):
            if tail is None:
                self._keys.setdefault(day, []).append(_encode_json((self._stage, day, self._next)))
                self._next += 1
            tail = None
            yield self._keys[day][-1], array_of(len(segment), segment)
        if len(segment) < SEGMENT_PAYMENTS:
            self._tails[day] = segment


def _cut(payments: list[bytes]) -> Iterator[list[bytes]]:
    """Pieces of at most `MAX_SEGMENT_BYTES`; there is at least one payment."""
    piece: list[bytes] = []
    size = 0
    for packed in payments:
        if size + len(packed) > MAX_SEGMENT_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(packed)
        size += len(packed)
    yield piece


class Restored(NamedTuple):
    """State that came back from a changelog."""

    changed: dict[str, int]
    """Rules that are new or defined differently now: since when (ms) they are judged by what the ledger has."""
    removed: frozenset[str]
    """Rules that there are no more."""
    older: bool
    """True where there was state of another format, or of another number of partitions: it is stale."""
    stale: tuple[bytes, ...]
    """Keys to delete. Until they are, each restore finds them again."""
    due: tuple[tuple[str, Group, int], ...]


@dataclass
class Restore:
    """Takes in a task's changelog, record by record, from its beginning to its end; compacted or not.

    `ledger` has the rules of today, and nothing in it yet. Up to `unseen_until_ms` there may have been payments that
    the stage was never sent, because no rule counted them. Of the two stages, that by payor deletes format 1.
    """

    stage: str
    ledger: Ledger
    account_of: Callable[[Counted], AccountKey]
    partitions: int
    unseen_until_ms: int = -1
    _progress: TaskProgress | None = None
    _segments: dict[SegmentKey, bytes] = field(default_factory=dict)
    _format_1: set[bytes] = field(default_factory=set)
    _unreadable: dict[bytes | None, str] = field(default_factory=dict)

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Take in a record. That it cannot be read matters only if it is the last one of its key: see `finish`."""
        self._unreadable.pop(key, None)
        try:
            self._take(key, value)
        except ChangelogError as error:
            if key is None or value is not None:
                self._unreadable[key] = str(error)

    def _take(self, key: bytes | None, value: bytes | None) -> None:
        owner, segment = decode_key(key)
        assert key is not None
        if owner == self.stage:
            if segment is None:
                self._progress = None if value is None else decode_progress(value)
            elif value is None:
                self._segments.pop(segment, None)
            else:
                self._segments[segment] = value
        elif owner not in INPUTS and self.stage == BY_PAYOR:
            if value is None:
                self._format_1.discard(key)
            else:
                self._format_1.add(key)

    def fill(self, segments: Segments) -> Iterator[int]:
        """After the last record: put the payments on their shelves, those of a segment at a time; how many they are.

        Raises:
            ChangelogError: a record could not be read; it says which, and what to do.
        """
        for unreadable, reason in self._unreadable.items():
            raise ChangelogError(f"the record with the key {unreadable!r} cannot be read: {reason}. {_REMEDY}")
        if self._valid:
            for key, value in self._segments.items():
                yield self._put_segment(key, value, segments)

    @property
    def _valid(self) -> bool:
        """True if the task can go on with the state."""
        progress = self._progress
        return progress is not None and (progress.format, progress.partitions) == (FORMAT, self.partitions)

    def finish(self) -> Restored:
        """After `fill`: go on with the rules that are what they were, and see which are not."""
        progress = self._progress
        states = progress.rules if progress else {}
        latest_ms = self.ledger.latest_ms = progress.latest_ms if progress else -1
        stale = list(self._format_1)
        if progress is not None and self._valid:
            changed = self._take_up(states, max(latest_ms, self.unseen_until_ms) + 1)
            due = tuple(progress.due)
        else:
            due = ()
            stale += [_encode_json(key) for key in self._segments]
            changed = self._begin_anew(latest_ms + 1) if progress else {}
        removed = states.keys() - {watch.windows.rule.name for watch in self.ledger.watches}
        return Restored(changed, frozenset(removed), bool(stale), tuple(stale), due)

    def _put_segment(self, key: SegmentKey, value: bytes, segments: Segments) -> int:
        """Its payments onto its shelf, or by today's rules a later one; those that no rule counts, nowhere."""
        try:
            payments = unpack_array(value)
        except DECODE_ERRORS as error:
            raise ChangelogError(
                f"the record with the key {_encode_json(key)!r} cannot be read: {error}. {_REMEDY}"
            ) from None
        filter_of = self.ledger.filter
        last_ms = max((payment.at_ms + filter_of(payment.cents).span_ms for payment in payments), default=0)
        day = max(key.day, last_ms // DAY_MS)
        segments.put(key, day)
        self.ledger.put(day, zip(map(self.account_of, payments), payments, strict=True))
        return len(payments)

    def _take_up(self, states: Mapping[str, RuleState], otherwise: int) -> dict[str, int]:
        """Go on with each rule that is what it was; say of the others since when the ledger has all that they count."""
        changed = {}
        for watch in self.ledger.watches:
            windows, rule = watch.windows, watch.windows.rule
            state = states.get(rule.name)
            if state is not None and state.definition == rule.fingerprint:
                windows.stream_time, windows.since = state.stream_time, state.since
            else:
                windows.stream_time = self._stream_time(watch, states.values())
                windows.since = changed[rule.name] = covered_since(rule, states.values(), otherwise)
        return changed

    def _stream_time(self, watch: Watch, states: Iterable[RuleState]) -> int:
        """Stream time of a rule that is new: of what it would have counted."""
        rule = watch.windows.rule
        amounts = rule.amount_from or 0.0, rule.amount_below
        same = [state.stream_time for state in states if (state.amount_from, state.amount_below) == amounts]
        payments = (payment for shelf in self.ledger.shelves.values() for _, payment in shelf)
        return max(
            [*same, *(payment.at_ms for payment in payments if watch.windows.takes(payment.payment_amount))], default=-1
        )

    def _begin_anew(self, since: int) -> dict[str, int]:
        """Begin with nothing: windows that have begun may have payments that are not there any more."""
        for watch in self.ledger.watches:
            watch.windows.since = since
        return {watch.windows.rule.name: since for watch in self.ledger.watches}


def covered_since(rule: Rule, states: Iterable[RuleState], otherwise: int) -> int:
    """Time since which a ledger has all payments that a rule counts: those of its amounts that other rules had kept."""
    states = list(states)
    for since in sorted({state.kept_from for state in states}):
        covered = rule.amount_from or 0.0
        for state in sorted(states, key=attrgetter("amount_from")):
            if state.kept_from <= since and state.amount_from <= covered:
                covered = max(covered, inf if state.amount_below is None else state.amount_below)
        if covered >= (inf if rule.amount_below is None else rule.amount_below):
            return since
    return otherwise

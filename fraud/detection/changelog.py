"""The state of a task as records of its changelog: what each is, and which to write next.

    key                        value
    ["by-payor",20657,12]      segment 12 of the ledger: a msgpack array of packed payments
    ["by-payor"]               stream times, and which definitions of the rules they are of (JSON)

Keys are JSON so that a person with a console consumer can read them: stage, day, number. All payments of a segment lie
on the shelf of its day (see `fraud.detection.ledger`), and when that goes, so does the segment, by a null value.

A task writes all that a batch changed in one transaction: each payment once, in few segments, whatever the number of
accounts. A segment with few payments is written anew with those of the next batch, so that a trickle of payments does
not leave a record for each.

Both stages keep their state in the same partition; each goes by the keys that begin with its own name. Keys that begin
with the name of a rule are those of format 1, which kept windows. The way back is `fraud.detection.restore`.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from fraud.detection.ledger import Ledger
from fraud.detection.packed import FORMAT, array_of
from fraud.detection.watches import Watch
from fraud.windows import Group
from schemas.errors import DECODE_ERRORS, UndertenError

SEGMENT_PAYMENTS = 16
"""A segment with fewer payments is written anew with the next ones of its day."""
MAX_SEGMENT_BYTES = 200_000
"""Far below what a broker takes as a record."""


class ChangelogError(UndertenError):
    """A changelog does not hold what was written to it: a record cannot be read."""


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

    def encode(self) -> bytes:
        """The key as the record has it."""
        return _encode_json(self)


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
        self._keys.setdefault(day, []).append(key.encode())
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
                self._keys.setdefault(day, []).append(SegmentKey(self._stage, day, self._next).encode())
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

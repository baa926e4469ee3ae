"""Restore: the state of a task made anew from its changelog, under the rules of today.

A rule that is what it was goes on where it was. One that is new, or has changed, judges what the ledger has: back to
where the rules of before had kept all payments of its amounts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter
from typing import NamedTuple

from fraud.detection.changelog import (
    ChangelogError,
    RuleState,
    SegmentKey,
    Segments,
    TaskProgress,
    decode_key,
    decode_progress,
)
from fraud.detection.ledger import Ledger
from fraud.detection.packed import FORMAT, unpack_array
from fraud.detection.partition_keys import AccountKey
from fraud.detection.topology import BY_PAYOR, INPUTS
from fraud.detection.watches import Watch
from fraud.rules import DAY_MS, Rule
from fraud.windows import Counted, Group
from schemas.errors import DECODE_ERRORS

_REMEDY = (
    "Write that key with a null value to this partition to go on without: if it was a segment, its payments are not in "
    "their cases then, and `fraud replay` finds what that hides"
)


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
    """Cases to be written: rule, group, window start."""


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
        """Put the payments on their shelves, after the last record: a segment at a time; how many each has.

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
        """Go on, after `fill`, with the rules that are what they were, and see which are not."""
        progress = self._progress
        states = progress.rules if progress else {}
        latest_ms = self.ledger.latest_ms = progress.latest_ms if progress else -1
        stale = list(self._format_1)
        if progress is not None and self._valid:
            changed = self._take_up(states, max(latest_ms, self.unseen_until_ms) + 1)
            due = tuple(progress.due)
        else:
            due = ()
            stale += [key.encode() for key in self._segments]
            changed = self._begin_anew(latest_ms + 1) if progress else {}
        removed = states.keys() - {watch.windows.rule.name for watch in self.ledger.watches}
        return Restored(changed, frozenset(removed), bool(stale), tuple(stale), due)

    def _put_segment(self, key: SegmentKey, value: bytes, segments: Segments) -> int:
        """Put a segment's payments on its shelf, or by today's rules a later one; what no rule counts, nowhere."""
        try:
            payments = unpack_array(value)
        except DECODE_ERRORS as error:
            raise ChangelogError(
                f"the record with the key {key.encode()!r} cannot be read: {error}. {_REMEDY}"
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

"""The state of a task as records of its changelog, and back.

    key                                                 value
    ["structuring",[100,"First National",200],1795392000000]    the window without its sealed segments (msgpack)
    ["structuring",[100,"First National",200],1795392000000,0]  its sealed segment 0, never written again
    ["structuring"]                                     stream time, and which definition of the rule this is (JSON)

Keys are JSON so that a person with a console consumer can read them: rule, group, window start, segment number. A null
value deletes, as everywhere in compacted topics.

A task writes all that a batch changed in one transaction, a rule's stream time with its windows. So the last stream
time says which definition of the rule made all windows that are there: where it is not today's, they are stale. They
are deleted, in as many transactions as it takes, before the task reads its first record.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from fraud.rules import Rule
from fraud.windows import SEGMENT_PAYMENTS, Group, RuleWindows, Window
from schemas.errors import UndertenError

FORMAT = 1
"""Version of what stands here and in `fraud.detection.packed`. State of another version is stale."""


class ChangelogError(UndertenError):
    """A changelog does not hold what was written to it: a record cannot be read, or a segment is missing."""


_REMEDY = (
    "Write that key with a null value to this partition to go on without: if it was a window, its payments so far are "
    "not in its case then, and `fraud replay` finds what that hides"
)


class Key(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record's key; without `group` and `start` it is that of a rule's stream time."""

    rule: str
    group: Group | None = None
    start: int | None = None
    segment: int | None = None


class StreamTime(msgspec.Struct, frozen=True, gc=False):
    """How far a rule has come in a task. `definition` is that of the rule as it was then."""

    stream_time: int
    definition: str


_UNREADABLE = (ChangelogError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_encode_json = msgspec.json.Encoder().encode
_encode = msgspec.msgpack.Encoder().encode
_decode_key = msgspec.json.Decoder(Key).decode
decode_window = msgspec.msgpack.Decoder(Window).decode
_decode_stream_time = msgspec.json.Decoder(StreamTime).decode


def window_key(rule: str, start: int, group: Group) -> bytes:
    """Key of a window."""
    return _encode_json((rule, group, start))


def segment_key(rule: str, start: int, group: Group, number: int) -> bytes:
    """Key of the sealed segment `number`, from 0, of a window; its value is the segment as it is."""
    return _encode_json((rule, group, start, number))


def stream_time_key(rule: str) -> bytes:
    """Key of a rule's stream time."""
    return _encode_json((rule,))


def window_keys(rule: str, start: int, group: Group, window: Window) -> list[bytes]:
    """All keys under which a window is kept: what to delete once it has closed."""
    segments = range(len(window.sealed or ()))
    return [window_key(rule, start, group), *(segment_key(rule, start, group, number) for number in segments)]


def window_value(window: Window) -> bytes:
    """A window without its sealed segments: at most the open tail of its list, some 60 bytes beside it."""
    return _encode(
        (
            window.payment_count,
            window.total_cents,
            window.max_amount,
            window.first_at,
            window.last_at,
            window.tail,
            window.distinct,
            window.reported,
        )
    )


def stream_time_value(windows: RuleWindows) -> bytes:
    """A rule's stream time, and which definition of the rule its windows come from."""
    return _encode_json(StreamTime(windows.stream_time, definition(windows.rule)))


def definition(rule: Rule) -> str:
    """What state must agree in to be gone on with."""
    return f"{FORMAT}-{rule.fingerprint}"


def decode_key(key: bytes | None) -> Key:
    """Raises ChangelogError."""
    try:
        return _decode_key(key or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ChangelogError(f"it is no key: {error}") from None


def decode_stream_time(value: bytes) -> StreamTime:
    """Raises ChangelogError."""
    try:
        return _decode_stream_time(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ChangelogError(f"it is no stream time: {error}") from None


@dataclass(frozen=True)
class Restored:
    """What came back from a changelog."""

    reset: frozenset[str]
    """Rules whose state was dropped: they are gone, or defined differently now."""
    stale: tuple[bytes, ...]
    """Keys to delete: those of the rules that were reset. Until they are, each restore finds them again."""


@dataclass
class Restore:
    """Takes in a task's changelog, record by record, from its beginning to its end; compacted or not.

    `windows` are the rules of today, by name, with nothing in them yet.
    """

    windows: Mapping[str, RuleWindows]
    _definitions: dict[str, str] = field(default_factory=dict)
    _segments: dict[str, dict[tuple[int, Group], dict[int, bytes]]] = field(default_factory=dict)
    _gone: dict[bytes, str] = field(default_factory=dict)
    _unreadable: dict[bytes | None, str] = field(default_factory=dict)

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """One record. That it cannot be read matters only if it is the last one of its key: see `finish`."""
        self._unreadable.pop(key, None)
        try:
            self._take(key, value)
        except _UNREADABLE as error:
            if key is None or value is not None:
                self._unreadable[key] = str(error)

    def _take(self, key: bytes | None, value: bytes | None) -> None:
        place = decode_key(key)
        assert key is not None
        windows = self.windows.get(place.rule)
        if windows is None:
            self._take_gone(key, place.rule, value)
        elif place.group is None or place.start is None:
            self._take_stream_time(windows, value)
        elif len(place.group) != len(windows.rule.group_by):
            raise ChangelogError("its group is not one of the rule's")
        elif place.segment is not None:
            self._take_segment(place.rule, (place.start, place.group), place.segment, value)
        elif value is None:
            windows.discard(place.start, place.group)
        else:
            windows.put(place.start, place.group, decode_window(value))

    def _take_gone(self, key: bytes, rule: str, value: bytes | None) -> None:
        if value is None:
            self._gone.pop(key, None)
        else:
            self._gone[key] = rule

    def _take_stream_time(self, windows: RuleWindows, value: bytes | None) -> None:
        if value is not None:
            stream_time = decode_stream_time(value)
            windows.stream_time = stream_time.stream_time
            self._definitions[windows.rule.name] = stream_time.definition

    def _take_segment(self, rule: str, place: tuple[int, Group], number: int, value: bytes | None) -> None:
        segments = self._segments.setdefault(rule, {}).setdefault(place, {})
        if value is None:
            segments.pop(number, None)
        else:
            segments[number] = value

    def finish(self) -> Restored:
        """After the last record: windows get their segments back, rules that have changed start anew.

        Raises:
            ChangelogError: a record could not be read, or a window's segment is missing; it says which, and what to do.
        """
        for key, reason in self._unreadable.items():
            raise ChangelogError(f"the record with the key {key!r} cannot be read: {reason}. {_REMEDY}")
        stale = list(self._gone)
        reset = set(self._gone.values())
        for name, windows in self.windows.items():
            segments = self._segments.get(name, {})
            if self._definitions.get(name, "") == definition(windows.rule):
                _attach(windows, segments)
            else:
                kept = list(_keys(windows, segments))
                stale += kept
                windows.clear()
                if kept or name in self._definitions:
                    reset.add(name)
        return Restored(frozenset(reset), tuple(stale))


def _attach(windows: RuleWindows, segments: Mapping[tuple[int, Group], Mapping[int, bytes]]) -> None:
    """Give the sealed segments back to their windows."""
    for start, group, window in windows:
        if window.payment_count >= SEGMENT_PAYMENTS:
            found = segments.get((start, group), {})
            try:
                window.sealed = [found[number] for number in range(window.listed // SEGMENT_PAYMENTS)]
            except KeyError as missing:
                key = window_key(windows.rule.name, start, group).decode()
                raise ChangelogError(f"segment {missing} of the window {key} is missing. {_REMEDY}") from None


def _keys(windows: RuleWindows, segments: Mapping[tuple[int, Group], Mapping[int, bytes]]) -> Iterator[bytes]:
    """Every key that the changelog has of a rule, except its stream time's: that one is overwritten."""
    name = windows.rule.name
    for start, group, _ in windows:
        yield window_key(name, start, group)
    for (start, group), found in segments.items():
        for number in found:
            yield segment_key(name, start, group, number)

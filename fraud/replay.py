"""Replay: rules over recorded payments, without Kafka. For trying a rule on the past before it watches the present.

A line in is a payment with its place in Kafka; a line out is a row as ksqlDB emits it. Which task a payment belongs to
decides what is late, as stream time is per task (see `fraud.windows`):

- A line of the topic that a rule reads (`Rule.input_topic`) belongs to the task of its partition, as in `fraud run`.
- All lines of other topics are one task together. Their partition says nothing of where the rule would have met the
  payment, and taken for a task it would tear groups apart: the payee of `fan_in` is paid from all over `payments`.

So a file holds `payments` or `payments_by_payee`, not both: either has every payment.
"""

import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
from cyclopts import Parameter
from msgspec import Meta
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from fraud.detection.packed import pack, unpack
from fraud.rules import Emit, Rule, load
from fraud.windows import Group, RuleWindows, Window
from schemas.errors import PaymentError, SettingsError
from schemas.payment import INT32_MAX, ForeignPayment, Time, dollars, json_reader

LONGEST_LINE = 65_536
_PROGRESS_EVERY_BYTES = 1 << 20


File = Annotated[Path | None, Parameter(allow_leading_hyphen=True)]
"""A leading hyphen is allowed for the sake of "-" alone."""


class RecordedPayment(ForeignPayment, frozen=True, gc=False):
    """A line in: a payment, and where in Kafka it stood. `timestamp` is ms since the epoch."""

    topic: Annotated[str, Meta(min_length=1, max_length=249)]
    partition: Annotated[int, Meta(ge=0, le=INT32_MAX)]
    offset: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    timestamp: Time


class Row(msgspec.Struct, frozen=True, gc=False):
    """A line out: a window as it stood when it was emitted. `payment_ids` are in order of arrival, at most 1,000."""

    rule: str
    group: dict[str, int | str]
    window_start: int
    window_end: int
    payment_count: int
    total_amount: str
    max_amount: float
    payment_ids: list[str]
    row_timestamp: int


_read = json_reader(RecordedPayment)
_encode = msgspec.json.Encoder().encode


def decode_line(line: bytes) -> RecordedPayment:
    """Raises PaymentError that says what is wrong with a line."""
    if len(line) > LONGEST_LINE:
        raise PaymentError(f"longer than {LONGEST_LINE} bytes")
    return _read(line)


class Replay:
    """All tasks of some rules, and what has been counted so far."""

    def __init__(self, rules: Sequence[Rule], emit: Emit) -> None:
        self.rules = rules
        self.emit: Emit = emit
        self.payments = 0
        self.late_payments = 0
        """Payments that came too late for a window of some rule."""
        self.late: Counter[str] = Counter()
        """Per rule, how often a payment came too late for a window."""
        self.rows: Counter[str] = Counter()
        self._tasks: dict[tuple[str, int | None], RuleWindows] = {}
        self._tasks_of: dict[tuple[str, int], list[RuleWindows]] = {}

    def add(self, payment: RecordedPayment) -> Iterator[Row]:
        """The rows that a payment brings about, rules in their order."""
        self.payments += 1
        was_late = False
        changes = self.emit == "changes"
        packed = pack(payment, payment.timestamp, payment.topic)
        for windows in self._tasks_of.get((payment.topic, payment.partition)) or self._meet(payment):
            outcomes = windows.add(payment, payment.timestamp, packed)
            for start, group, window in outcomes:
                if window is None:
                    self.late[windows.rule.name] += 1
                    was_late = True
                elif changes and windows.fires(window):
                    yield self._row(windows.rule, start, group, window)
            if outcomes:
                for start, group, window in windows.close():
                    if not changes and windows.fires(window):
                        yield self._row(windows.rule, start, group, window)
        self.late_payments += was_late

    def _row(self, rule: Rule, start: int, group: Group, window: Window) -> Row:
        self.rows[rule.name] += 1
        return Row(
            rule=rule.name,
            group=dict(zip(rule.group_by, group, strict=True)),
            window_start=start,
            window_end=start + rule.size_ms,
            payment_count=window.payment_count,
            total_amount=dollars(window.total_cents),
            max_amount=window.max_amount,
            payment_ids=[payment.id for payment in unpack(window.pieces(), window.listed)],
            row_timestamp=window.last_at,
        )

    def open_windows(self) -> Counter[str]:
        """Per rule, the windows that have not closed."""
        counts: Counter[str] = Counter()
        for (rule, _), windows in self._tasks.items():
            counts[rule] += len(windows)
        return counts

    def _meet(self, payment: RecordedPayment) -> list[RuleWindows]:
        """The tasks, one per rule, of a topic and partition that had not been seen yet."""
        found = []
        for rule in self.rules:
            task = rule.name, payment.partition if payment.topic == rule.input_topic else None
            found.append(self._tasks.setdefault(task, RuleWindows(rule, self.emit)))
        self._tasks_of[payment.topic, payment.partition] = found
        return found


def read_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream. Of one that is too long comes its beginning, long enough to tell; the rest is skipped."""
    while line := stream.readline(LONGEST_LINE + 1):
        yield line
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line = stream.readline(LONGEST_LINE + 1)


def replay(file: File = None, /, *, rules: Path | None = None, emit: Emit = "changes") -> int:
    """Show what rules find in recorded payments: JSON lines in, JSON lines out, without Kafka.

    A line in is {"topic", "partition", "offset", "timestamp", and a payment's six fields}, the timestamp in ms since
    the epoch. A line out is {"rule", "group", "window_start", "window_end", "payment_count", "total_amount",
    "max_amount", "payment_ids", "row_timestamp"}.

    What is late is so per partition of the topic that a rule reads, payments or payments_by_payee, as in `fraud run`.
    All lines of other topics count as one partition: they should be in the order in which they came.

    A bad line is reported and skipped. The exit status is 0 if there was none, 1 if there was one, 2 if rules or
    file cannot be used.

    Args:
        file: Recorded payments; standard input if left out, or "-".
        rules: File with the rules; without it those that are shipped.
        emit: "changes" for a row with each payment after which a rule fires; "final" for one row per window, once it
            has closed.
    """
    replaying = Replay(load(rules), emit)
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    rejected = 0

    def reject(number: int, error: PaymentError) -> None:
        nonlocal rejected
        rejected += 1
        console.print(f"line {number}: {error}")

    with opened(file) as stream:
        size = _size(stream)
        lines = read_lines(stream)
        if size is not None and console.is_terminal and not sys.stdout.isatty():
            lines = with_progress(lines, size, console)
        _write_rows(replaying, lines, reject, sys.stdout.buffer, at_once=size is None)
    console.print(summary(replaying, rejected))
    return 1 if rejected else 0


def opened(file: Path | None) -> AbstractContextManager[BinaryIO]:
    """A file, or standard input where it is None or "-"; raises SettingsError."""
    if file is None or str(file) == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return file.open("rb")
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror or error}") from None


def _size(stream: BinaryIO) -> int | None:
    """How long a file is; None for a pipe or a terminal."""
    status = os.fstat(stream.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _write_rows(
    replaying: Replay,
    lines: Iterable[bytes],
    reject: Callable[[int, PaymentError], None],
    out: BinaryIO,
    *,
    at_once: bool,
) -> None:
    """Replay the lines. `at_once`: who feeds a pipe may wait for the rows of a payment before sending the next."""
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            payment = decode_line(line)
        except PaymentError as error:
            reject(number, error)
            continue
        rows = [_encode(row) for row in replaying.add(payment)]
        if rows:
            out.write(b"\n".join([*rows, b""]))
            if at_once:
                out.flush()
    out.flush()


def with_progress(lines: Iterable[bytes], size: int, console: Console) -> Iterator[bytes]:
    """The lines, and meanwhile a bar that says how much of the file has been read."""
    columns = TextColumn("replaying"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=size)
        unshown = 0
        for line in lines:
            unshown += len(line)
            if unshown >= _PROGRESS_EVERY_BYTES:
                progress.advance(task, unshown)
                unshown = 0
            yield line


def summary(replaying: Replay, rejected: int) -> str:
    """What was read and what came of it, for a person."""
    still_open = replaying.open_windows()
    width = max(len("rule"), *(len(rule.name) for rule in replaying.rules))
    table = [f"{'rule':{width}} {'rows':>10} {'late':>10} {'open windows':>14}"]
    for rule in replaying.rules:
        name = rule.name
        table.append(f"{name:{width}} {replaying.rows[name]:10} {replaying.late[name]:10} {still_open[name]:14}")
    read = f"payments read: {replaying.payments}; late: {replaying.late_payments}; lines rejected: {rejected}"
    return "\n".join([read, *table])

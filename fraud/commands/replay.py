"""`python -m fraud replay`: what rules find in recorded payments, without Kafka."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from fraud.payment_files import File, RecordedPayment, Rejection, open_file, read_lines, read_payments
from fraud.replay import Replay
from fraud.rules import Emit, load

_PROGRESS_EVERY_BYTES = 1 << 20

_encode = msgspec.json.Encoder().encode


def replay(file: File = None, /, *, rules: Path | None = None, emit: Emit = "changes") -> int:
    """Show what rules find in recorded payments: JSON lines or CSV in, JSON lines out, without Kafka.

    A line in is {"topic", "partition", "offset", "timestamp", and a payment's six fields}, the timestamp in ms since
    the epoch. A line out is {"rule", "group", "window_start", "window_end", "payment_count", "total_amount",
    "max_amount", "payment_ids", "row_timestamp"}.

    A CSV has a header with the six fields and `timestamp` or `time`: ms since the epoch, or ISO 8601 with its zone.
    Commas, semicolons or tabs part its cells. Its payments are sorted by time, and count as one partition.

    What is late is so per partition of the topic that a rule reads, payments or payments_by_payee, as in `fraud run`.
    All lines of other topics count as one partition: they should be in the order in which they came.

    A bad line is reported, with its column where it has columns, and skipped. The exit status is 0 if there was none,
    1 if there was one, 2 if rules or file cannot be used.

    Args:
        file: Recorded payments; standard input if left out, or "-".
        rules: File with the rules; without it those that are shipped.
        emit: "changes" for a row with each payment after which a rule fires; "final" for one row per window, once it
            has closed.
    """
    replaying = Replay(load(rules), emit)
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    rejected = 0

    def reject(rejection: Rejection) -> None:
        nonlocal rejected
        rejected += rejection.skipped
        console.print(f"{rejection.place}: {rejection.reason}")

    with open_file(file) as stream:
        size = _size(stream)
        lines = read_lines(stream)
        if size is not None and console.is_terminal and not sys.stdout.isatty():
            lines = with_progress(lines, size, console)
        payments = read_payments(lines, reject)
        _write_rows(replaying, payments, sys.stdout.buffer, at_once=size is None)
    console.print(summary(replaying, rejected))
    return 1 if rejected else 0


def _size(stream: BinaryIO) -> int | None:
    """Bytes of a file; None for a pipe or a terminal."""
    status = os.fstat(stream.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _write_rows(replaying: Replay, payments: Iterable[RecordedPayment], out: BinaryIO, *, at_once: bool) -> None:
    """Replay payments. `at_once`: who feeds a pipe may wait for the rows of a payment before sending the next."""
    for payment in payments:
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
    """Summary of a replay, for a person."""
    still_open = replaying.open_windows()
    width = max(len("rule"), *(len(rule.name) for rule in replaying.rules))
    table = [f"{'rule':{width}} {'rows':>10} {'late':>10} {'open windows':>14}"]
    for rule in replaying.rules:
        name = rule.name
        table.append(f"{name:{width}} {replaying.rows[name]:10} {replaying.late[name]:10} {still_open[name]:14}")
    read = f"payments read: {replaying.payments}; late: {replaying.late_payments}; lines rejected: {rejected}"
    if replaying.repeated_payments:
        read += f"; sent again, and counted once: {replaying.repeated_payments}"
    return "\n".join([read, *table])

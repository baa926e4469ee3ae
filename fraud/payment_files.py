"""Payments of the past, as files have them: JSON lines or CSV. Bytes in, payments out.

JSON lines come in the order in which Kafka had them, and are read one by one. A table has no such order: a CSV is read
as a whole and sorted by time. A line or cell that cannot be used is named, and the rest goes on.
"""

import csv
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NamedTuple

from cyclopts import Parameter
from msgspec import Meta

from schemas.errors import PaymentError, SettingsError
from schemas.payment import FIELDS, INT32_MAX, ForeignPayment, Time, json_reader, to_payment

MAX_LINE_BYTES = 65_536
TIMES = ("timestamp", "time")
"""Names for the column with a payment's time."""
DELIMITERS = ",;\t"
CSV_TOPIC = "payments"

_INTEGERS = ("payee_account_no", "payor_account_no")
_is_amount = re.compile(r"[0-9]{1,13}(?:\.[0-9]{1,2}0*)?").fullmatch
_is_integer = re.compile(r"[0-9]{1,18}").fullmatch
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")

File = Annotated[Path | None, Parameter(allow_leading_hyphen=True)]
"""A leading hyphen is allowed for the sake of "-" alone."""


class RecordedPayment(ForeignPayment, frozen=True, gc=False):
    """A payment, and where in Kafka it stood. `timestamp` is ms since the epoch."""

    topic: Annotated[str, Meta(min_length=1, max_length=249)]
    partition: Annotated[int, Meta(ge=0, le=INT32_MAX)]
    offset: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    timestamp: Time


class Rejection(NamedTuple):
    """Something in a file that is not understood. `skipped`: a payment was left out for it."""

    place: str
    reason: str
    skipped: bool = True


Reject = Callable[[Rejection], None]
_read = json_reader(RecordedPayment)


def open_file(file: Path | None) -> AbstractContextManager[BinaryIO]:
    """A file, or standard input where it is None or "-"; raises SettingsError."""
    if file is None or str(file) == "-":
        if sys.stdin is None:
            raise SettingsError("standard input is closed: name a file")
        return nullcontext(sys.stdin.buffer)
    try:
        return file.open("rb")
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror or error}") from None


def read_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream. Of one that is too long comes its beginning, long enough to tell; the rest is skipped."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES + 1)


def decode_line(line: bytes) -> RecordedPayment:
    """A payment from a line of JSON; raises PaymentError that says what is wrong with it."""
    if len(line) > MAX_LINE_BYTES:
        raise PaymentError(f"longer than {MAX_LINE_BYTES} bytes")
    return _read(line)


def read_payments(lines: Iterable[bytes], reject: Reject) -> Iterator[RecordedPayment]:
    """The payments in lines of JSON or, where the first line is a header, of CSV.

    Raises SettingsError where a header lacks columns, or is none that CSV could have.
    """
    rest = iter(lines)
    for first in rest:
        header = _header(first)
        everything = chain([first], rest)
        yield from _read_json(everything, reject) if header is None else _read_csv(everything, header, reject)


def _read_json(lines: Iterable[bytes], reject: Reject) -> Iterator[RecordedPayment]:
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            payment = decode_line(line)
        except PaymentError as error:
            reject(Rejection(f"line {number}", str(error)))
        else:
            yield payment


def _header(line: bytes) -> str | None:
    """The delimiter of a header, if the line is one."""
    text = line.removeprefix(b"\xef\xbb\xbf").decode(errors="replace").strip()
    if text.startswith("{") or not any(name in text for name in (*FIELDS[1:], *TIMES)):
        return None
    return max(DELIMITERS, key=text.count)


def _read_csv(lines: Iterable[bytes], delimiter: str, reject: Reject) -> list[RecordedPayment]:
    """The payments of a table, in order of time."""
    texts = (line.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape") for line in lines)
    cells = csv.reader(texts, delimiter=delimiter, strict=True)
    try:
        header = next(cells)
    except csv.Error as error:
        raise SettingsError(f"line 1: {error}") from None
    columns = _columns(header, reject)
    payments = []
    while True:
        try:
            row = next(cells)
            if row:
                payments.append(_payment(columns, row, cells.line_num))
        except StopIteration:
            break
        except csv.Error as error:
            reject(Rejection(f"line {cells.line_num}", str(error)))
        except _CellError as error:
            reject(Rejection(f"line {cells.line_num}{error.column}", error.reason))
    return sorted(payments, key=attrgetter("timestamp"))


class _CellError(Exception):
    """A row, or one cell of it, that is not what it should be."""

    def __init__(self, reason: str, column: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.column = column


def _columns(header: Sequence[str], reject: Reject) -> list[str | None]:
    """The field of each column; None for one that is left out. Raises SettingsError where a field has no column."""
    columns: list[str | None] = []
    for number, title in enumerate(header, 1):
        name = title.strip()
        field = "timestamp" if name in TIMES else name
        if field not in (*FIELDS, "timestamp"):
            reject(Rejection(f"line 1, column {number} ({name})", "not known; it is left out", skipped=False))
            columns.append(None)
        elif field in columns:
            raise SettingsError(f"line 1, column {number} ({name}): {field} has a column already")
        else:
            columns.append(field)
    if missing := [field for field in (*FIELDS, "timestamp") if field not in columns]:
        raise SettingsError(f"line 1: no column for {', '.join(missing)}; a header has {', '.join(FIELDS)} and a time")
    return columns


def _payment(columns: Sequence[str | None], row: Sequence[str], line: int) -> RecordedPayment:
    """A payment from a row; raises _CellError."""
    if len(row) != len(columns):
        raise _CellError(f"{len(row)} cells where the header has {len(columns)}")
    fields: dict[str, Any] = {"topic": CSV_TOPIC, "partition": 0, "offset": line}
    for number, (field, cell) in enumerate(zip(columns, row, strict=True), 1):
        if field is not None:
            try:
                fields[field] = _value(field, cell)
            except ValueError as error:
                raise _CellError(str(error), f", column {number} ({field})") from None
    try:
        return to_payment(fields, RecordedPayment)
    except PaymentError as error:
        place = f", column {columns.index(error.field) + 1} ({error.field})" if error.field in columns else ""
        raise _CellError(error.reason, place) from None


def _value(field: str, cell: str) -> str | int | float:
    """A cell's value; raises ValueError that says what is allowed."""
    if any("\udc80" <= letter <= "\udcff" for letter in cell):
        raise ValueError("not UTF-8")
    if field == "timestamp":
        return _milliseconds(cell.strip())
    if field in _INTEGERS:
        if not _is_integer(cell.strip()):
            raise ValueError(f"{cell!r} is no account number: digits only")
        return int(cell)
    if field == "payment_amount":
        if not _is_amount(cell.strip()):
            raise ValueError(f"{cell!r} is no amount: digits, and at most two decimals after a point")
        return float(cell)
    return cell


def _milliseconds(cell: str) -> int:
    """A time in ms since the epoch from such a number or from ISO 8601; raises ValueError."""
    if _is_integer(cell):
        return int(cell)
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(f"{cell!r} is no time: ms since 1970, or ISO 8601 as 2026-01-31T17:30:00-05:00") from None
    if moment.tzinfo is None:
        raise ValueError(f"{cell!r} has no zone: write 2026-01-31T17:30:00-05:00, or Z behind it for UTC")
    return (moment - _EPOCH) // timedelta(milliseconds=1)

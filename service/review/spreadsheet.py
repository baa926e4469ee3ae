"""Tables for spreadsheets: CSV (RFC 4180) in UTF-8 with a byte order mark, in which no cell begins a formula. Pure."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from schemas.payment import UNSEEN

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Without it, Excel reads UTF-8 as the machine's own code page."""
FORMULA = frozenset("=+-@\N{MINUS SIGN}")
"""Characters with which a formula begins in a spreadsheet (OWASP, CSV injection), in their plain form (NFKC).

The minus sign (U+2212) looks like the hyphen, and NFKC does not make it one."""


def visible(text: str) -> str:
    r"""Write characters that nobody sees by their numbers: a newline as `\u000a`."""
    if text.isprintable():
        return text
    return "".join(f"\\u{ord(char):04x}" if unicodedata.category(char) in UNSEEN else char for char in text)


def cell(value: Any) -> Any:
    """Make a cell: text without invisible characters, and with an apostrophe where it would begin a formula.

    Full-width and small forms of the signs count as the signs, and blanks before them do not help.
    """
    if not isinstance(value, str):
        return value
    shown = visible(value)
    begins_formula = unicodedata.normalize("NFKC", value).lstrip()[:1] in FORMULA
    hides_one = shown != value and any(sign in FORMULA for sign in unicodedata.normalize("NFKC", value))
    return f"'{shown}" if value and (begins_formula or hides_one) else shown


def time_cell(ms: int | None) -> str | None:
    """Write a time as ISO 8601, UTC, to the millisecond."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """Write rows as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue().encode()

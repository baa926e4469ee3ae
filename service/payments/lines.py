"""Lines of a batch, as payments.

Lines are read together, by one pass each of a library or of Python's own C: that is where a batch is cheaper than its
payments one by one. Where a single one is not an ordinary payment, each is read by itself, and has its own problem.
"""

from collections.abc import Sequence

import msgspec

from schemas.codecs import decode_posted
from schemas.errors import PaymentError
from schemas.payment import AMOUNT_IN_CENTS, Payment, count_quotes
from service.http.problems import Problem, invalid_payment, too_large

ID_LENGTH = 36
DASHES = (8, 13, 18, 23)
HEX_DIGITS = 32


class _Line(Payment, frozen=True, gc=False, forbid_unknown_fields=True):
    """A payment whose texts are yet to be looked at."""


_decode = msgspec.json.Decoder(_Line).decode_lines
_quotes = count_quotes(_Line)
_find_amounts = AMOUNT_IN_CENTS.findall


def split_lines(body: bytes, max_lines: int) -> tuple[Sequence[int], list[bytes]]:
    """Split a batch into its lines, but for blank ones, with their numbers from 1; raises Problem."""
    # Counted before they are made: of the shortest lines a body has millions. Blank ones count, as they are numbered.
    number_of_lines = body.count(b"\n") + (not body.endswith(b"\n"))
    if number_of_lines > max_lines:
        detail = f"{number_of_lines} lines, more than {max_lines}; nothing was accepted"
        raise Problem(413, "too-many-lines", detail)
    lines = body.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if lines and all(lines) and not any(map(bytes.isspace, lines)):
        return range(1, len(lines) + 1), lines
    numbers = [number for number, line in enumerate(lines, 1) if line and not line.isspace()]
    if not numbers:
        raise Problem(400, "empty-batch", "there is no payment in the body")
    return numbers, [lines[number - 1] for number in numbers]


def read_lines(lines: Sequence[bytes], max_bytes: int) -> Sequence[Payment | Problem]:
    """Read each line as a payment, or as what is wrong with it."""
    return _read_together(lines, max_bytes) or [read_line(line, max_bytes) for line in lines]


def read_line(line: bytes, max_bytes: int) -> Payment | Problem:
    """Read a line as a payment, or as what is wrong with it."""
    if len(line) > max_bytes:
        return too_large(max_bytes, "line")
    try:
        return decode_posted(line)
    except PaymentError as error:
        return invalid_payment(error)


def _read_together(lines: Sequence[bytes], max_bytes: int) -> Sequence[Payment] | None:
    """Read lines that are all ordinary payments, written as most clients write them; None if one may not be."""
    if {line[:1] for line in lines} != {b"{"} or max(map(len, lines)) > max_bytes:
        return None
    text, count = b"\n".join(lines), len(lines)
    try:
        payments = _decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    # A payment has no object in it, so one begins with each line: if there are no more, each is a line of its own.
    if len(payments) != count:
        return None
    # As many quotes as the fields need: no name stands there twice, and each amount's text is found.
    if text.count(b'"') != count * _quotes or len(_find_amounts(text)) != count:
        return None
    return payments if _are_uuids([payment.id for payment in payments]) and _are_legible(payments) else None


def _are_uuids(ids: Sequence[str]) -> bool:
    column = "".join(ids)
    if {ID_LENGTH} != set(map(len, ids)) or any(column[at::ID_LENGTH].strip("-") for at in DASHES):
        return False
    try:
        return len(bytes.fromhex(column.replace("-", ""))) * 2 == len(ids) * HEX_DIGITS
    except ValueError:
        return False


def _are_legible(payments: Sequence[Payment]) -> bool:
    """Tell whether the payments' texts are neither blank nor hold what nobody sees."""
    texts = {payment.payee_bank for payment in payments} | {payment.payment_method for payment in payments}
    return all(map(str.isprintable, texts)) and not any(map(str.isspace, texts))

"""Lines of a batch, as payments.

Lines are read together: that is where a batch is cheaper than its payments one by one. Where a single one is not an
ordinary payment, each is read by itself, and has its own problem.
"""

from collections.abc import Sequence

from schemas.codecs import decode_posted
from schemas.errors import PaymentError
from schemas.ordinary_payments import read_together
from schemas.payment import Payment
from service.http.problems import Problem, invalid_payment, too_large


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


def read_lines(lines: Sequence[bytes], max_bytes: int) -> tuple[Sequence[Payment], dict[int, Problem]]:
    """Read the payments among lines, and by their index the problems of the others."""
    if max(map(len, lines)) <= max_bytes and (payments := read_together(lines)):
        return payments, {}
    results = [read_line(line, max_bytes) for line in lines]
    problems = {index: result for index, result in enumerate(results) if isinstance(result, Problem)}
    return [result for result in results if not isinstance(result, Problem)], problems


def read_line(line: bytes, max_bytes: int) -> Payment | Problem:
    """Read a line as a payment, or as what is wrong with it."""
    if len(line) > max_bytes:
        return too_large(max_bytes, "line")
    try:
        return decode_posted(line)
    except PaymentError as error:
        return invalid_payment(error)

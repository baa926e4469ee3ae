"""A past to try rules on: payments as `python -m fraud replay` reads them to standard output, the truth to a file."""

import os
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import cyclopts
import msgspec
from typologies import Dated, history

FIRST_DAY = date(2026, 1, 1)

_encode = msgspec.json.Encoder().encode


def line(offset: int, dated: Dated) -> bytes:
    """A payment as a record of the topic `payments`."""
    place = {"topic": "payments", "partition": 0, "offset": offset, "timestamp": dated.timestamp}
    return _encode({**place, **msgspec.structs.asdict(dated.payment)})


def generate(
    *,
    payments: int = 100_000,
    days: int = 7,
    seed: int = 1,
    share: float = 0.03,
    first_day: date = FIRST_DAY,
    truth: Path = Path(".local/truth.ndjson"),
) -> None:
    """Make up a past: JSON lines for `python -m fraud replay`.

    Args:
        payments: How many.
        days: Over how many days they are spread.
        seed: The same seed makes the same payments.
        share: How much of them belongs to patterns, 0 to 1.
        first_day: The first day, UTC.
        truth: File for what should be found, one pattern a line.
    """
    first_day_ms = int(datetime.combine(first_day, datetime.min.time(), UTC).timestamp()) * 1000
    dated, truths = history(seed, payments, days, first_day_ms, share)
    truth.parent.mkdir(parents=True, exist_ok=True)
    truth.write_bytes(b"".join(_encode(each) + b"\n" for each in truths))
    try:
        for offset, each in enumerate(dated):
            sys.stdout.buffer.write(line(offset, each) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Whoever read them has seen enough. What is still in the buffer must not fail when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    cyclopts.run(generate)

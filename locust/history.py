"""A past to try rules on: payments as `python -m fraud replay` reads them to standard output, the truth to a file."""

import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter
from cyclopts.validators import Number
from local_time import DAY_MS, HOUR_MS, MINUTE_MS
from lookalikes import SHARES, Lookalikes, Purchases, purchase_time
from parties import Ids
from traffic import REPEATED
from typologies import Crimes, Pattern

from schemas.cli import exit_status
from schemas.errors import SettingsError
from schemas.payment import Payment

FIRST_DAY = date(2026, 1, 1)
EPOCH = date(1970, 1, 1)
LAST_DAY = (date.max - EPOCH).days
LATE = 0.005
"""Share of payments that arrive late."""
LATEST_MS = 3 * HOUR_MS

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Dated:
    """A payment of the past: when it was made and when it arrived, in ms since the epoch."""

    timestamp: int
    payment: Payment
    arrived_at: int


def history(seed: int, payments: int, days: range, share: float = 0.03) -> tuple[list[Dated], list[dict[str, Any]]]:
    """Payments, so many, over some days (counted from 1970-01-01), as they arrived, and the truth of the patterns.

    Some arrive late; some are sent again, with the same id, and are not among those that count.
    """
    ids, rng = Ids(seed), Random(f"history-{seed}")
    patterns = _patterns(seed, payments, days, share, ids)
    timed = [transfer for pattern in patterns for transfer in _shifted(pattern, days)]
    purchases = Purchases(seed, ids)
    timed += [(purchase_time(rng, days), purchases.next()) for _ in range(payments - len(timed))]
    dated = [Dated(at_ms, payment, _arrival(at_ms, rng)) for at_ms, payment in timed]
    again = [one for one in dated if rng.random() < REPEATED]
    dated += [_sent_again(one, rng) for one in again]
    dated.sort(key=lambda one: one.arrived_at)
    span = {"from_ms": days.start * DAY_MS, "until_ms": days.stop * DAY_MS}
    run = {"kind": "run", "run": ids.run, "payments": len(timed), **span}
    times = {payment.id: at_ms for at_ms, payment in timed}
    truths = [_truth(pattern, times) for pattern in patterns]
    return dated, [run, *truths]


def _patterns(seed: int, payments: int, days: range, share: float, ids: Ids) -> list[Pattern]:
    """Crimes and look-alikes, as many as belong among so many payments."""
    crimes, lookalikes = Crimes(seed, ids, days), Lookalikes(seed, ids, days)
    patterns: list[Pattern] = []
    planned = 0
    while planned < share * payments:
        patterns.append(crimes.next())
        planned += len(patterns[-1].payments)
    for kind, share_of in SHARES.items():
        planned = 0
        least = round(share_of * (1 - share) * payments)
        while planned < least:
            patterns.append(lookalikes.draw(kind, least - planned))
            planned += len(patterns[-1].payments)
    return patterns


def _shifted(pattern: Pattern, days: range) -> list[tuple[int, Payment]]:
    """A pattern's payments with their times, moved back as a whole where an evening would end after the last day."""
    beyond = max(0, pattern.made_at[-1] - days.stop * DAY_MS + 1)
    first = days.start * DAY_MS
    times = [max(first, at_ms - beyond) for at_ms in pattern.made_at]
    return list(zip(times, pattern.payments, strict=True))


def _truth(pattern: Pattern, times: dict[str, int]) -> dict[str, Any]:
    return pattern.truth({place: times[payment.id] for place, payment in enumerate(pattern.payments)})


def _arrival(at_ms: int, rng: Random) -> int:
    return at_ms + rng.randrange(LATEST_MS) if rng.random() < LATE else at_ms


def _sent_again(one: Dated, rng: Random) -> Dated:
    """The same payment once more, by a client that got no answer or by another producer."""
    at_ms = one.arrived_at + rng.randrange(1, 40 * MINUTE_MS)
    return Dated(at_ms, one.payment, at_ms)


def line(offset: int, dated: Dated) -> bytes:
    """A payment as a record of the topic `payments`."""
    place = {"topic": "payments", "partition": 0, "offset": offset, "timestamp": dated.timestamp}
    return _encode({**place, **msgspec.structs.asdict(dated.payment)})


cli = App(name="history")


@cli.default
def generate(
    *,
    payments: Annotated[int, Parameter(validator=Number(gte=0))] = 100_000,
    days: Annotated[int, Parameter(validator=Number(gte=1))] = 28,
    seed: int = 1,
    share: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = 0.03,
    first_day: date = FIRST_DAY,
    truth: Path = Path(".local/truth.ndjson"),
) -> None:
    """Make up a past: JSON lines for `python -m fraud replay`.

    Args:
        payments: How many.
        days: Over how many days they are spread. Patterns that take longer are pressed into them.
        seed: The same seed makes the same payments.
        share: How much of them belongs to crimes, 0 to 1.
        first_day: The first day, UTC.
        truth: File for what there is to be found, one pattern a line.
    """
    first = (first_day - EPOCH).days
    if first < 0 or first + days >= LAST_DAY:
        raise SettingsError(f"first_day {first_day}: days are from {EPOCH} to the end of 9999")
    dated, truths = history(seed, payments, range(first, first + days), share)
    truth.parent.mkdir(parents=True, exist_ok=True)
    truth.write_bytes(b"".join(_encode(one) + b"\n" for one in truths))
    for offset, one in enumerate(dated):
        sys.stdout.buffer.write(line(offset, one) + b"\n")


if __name__ == "__main__":
    sys.exit(exit_status(cli, failed=2))

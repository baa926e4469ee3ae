"""Days and hours where people live: the United States' zones, in which an evening is the next day in UTC."""

from random import Random

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

ZONES = (-5, -6, -7, -8)
"""Hours that Eastern, Central, Mountain and Pacific Standard Time are behind UTC."""
PEOPLE = (47, 29, 7, 17)
"""Shares of the population in them, in percent."""


def zone(rng: Random) -> int:
    """Somebody's zone: hours, to be added to UTC."""
    return rng.choices(ZONES, PEOPLE)[0]


def is_weekend(day: int) -> bool:
    """True of a Saturday or Sunday; days are counted from 1 January 1970, a Thursday."""
    return (day + 3) % 7 >= 5


def utc_ms(day: int, hour: float, hours_ahead: int) -> int:
    """The moment of a local day and hour, in ms since the epoch."""
    return day * DAY_MS + round((hour - hours_ahead) * HOUR_MS)


def some_days(rng: Random, days: range, span: int, count: int) -> list[int]:
    """Choose `count` of `span` days in a row within `days`, in order, with the first and the last; rarely on weekends.

    A day may come several times. A span that is longer than `days` is cut to it.
    """
    span = min(span, len(days))
    first = rng.choice(days[: len(days) - span + 1])
    between = [first + rng.randrange(span) for _ in range(count - 2)]
    return sorted(_business_day(day, days, rng) for day in [first, first + span - 1, *between][:count])


def _business_day(day: int, days: range, rng: Random) -> int:
    """The Monday after a day on a weekend, mostly; the day itself otherwise."""
    if is_weekend(day) and rng.random() < 0.85:
        monday = next(later for later in (day + 1, day + 2) if not is_weekend(later))
        return monday if monday in days else day
    return day

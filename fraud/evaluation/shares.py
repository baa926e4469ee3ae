"""Shares of small numbers, with the interval in which they probably lie."""

import math
from collections.abc import Iterable
from statistics import NormalDist

import msgspec

CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


class Share(msgspec.Struct, frozen=True):
    """`hits` of `total`, and the bounds of the 95 % confidence interval; None where there was nothing to divide."""

    hits: int
    total: int
    value: float | None
    low: float | None
    high: float | None


def share(hits: int, total: int) -> Share:
    """A share with Wilson's interval, which holds for few and for extreme ones too.

    E. B. Wilson, “Probable inference, the law of succession, and statistical inference”, JASA 22 (1927).
    """
    if not total:
        return Share(hits, total, None, None, None)
    value, squared = hits / total, _Z * _Z
    centre = (value + squared / (2 * total)) / (1 + squared / total)
    spread = _Z * math.sqrt(value * (1 - value) / total + squared / (4 * total * total)) / (1 + squared / total)
    return Share(hits, total, value, max(0.0, centre - spread), min(1.0, centre + spread))


def percentile(values: Iterable[int], percent: int) -> int | None:
    """The smallest value that at least so many percent of all do not exceed (nearest rank); None of nothing."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1] if ordered else None

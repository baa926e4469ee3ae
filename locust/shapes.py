"""Load over time: how much of the full load there is at a moment."""

from collections.abc import Callable, Mapping


def steady(progress: float) -> float:
    """The whole rate, all the time. `progress` is how much of the run is over, 0 to 1; so below."""
    return 1.0


def ramp(progress: float) -> float:
    """A rise from a tenth to all of it."""
    return 0.1 + 0.9 * progress


def spike(progress: float) -> float:
    """A fifth, but all of it in the middle fifth of the run."""
    return 1.0 if 0.4 <= progress < 0.6 else 0.2


SHAPES: Mapping[str, Callable[[float], float]] = {"steady": steady, "ramp": ramp, "spike": spike}


def users_at(shape: str, at_seconds: float, seconds: float, most: int) -> int | None:
    """Users at a moment of a run of so many seconds; None once it is over."""
    if at_seconds >= seconds:
        return None
    return max(1, round(SHAPES[shape](at_seconds / seconds) * most))

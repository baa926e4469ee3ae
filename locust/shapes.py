"""Load over time: how much of the full load there is at a moment. Pure, but for the class that locust asks."""

from collections.abc import Callable, Mapping

from locust import LoadTestShape

SPAWN_RATE = 100.0
"""Users a second, when more are needed."""


def steady(done: float) -> float:
    """All of it, all the time. `done` is how much of the run is over, 0 to 1; so below."""
    return 1.0


def ramp(done: float) -> float:
    """From a tenth to all of it."""
    return 0.1 + 0.9 * done


def spike(done: float) -> float:
    """A fifth, but all of it in the middle fifth of the run."""
    return 1.0 if 0.4 <= done < 0.6 else 0.2


SHAPES: Mapping[str, Callable[[float], float]] = {"steady": steady, "ramp": ramp, "spike": spike}


def users_at(shape: str, at_seconds: float, seconds: float, most: int) -> int | None:
    """How many users there are at a moment of a run of so many seconds; None once it is over."""
    if at_seconds >= seconds:
        return None
    return max(1, round(SHAPES[shape](at_seconds / seconds) * most))


def shape_class(shape: str, seconds: float, most: int) -> type[LoadTestShape]:
    """What locust asks every second."""

    class Shape(LoadTestShape):
        def tick(self) -> tuple[int, float] | None:
            users = users_at(shape, self.get_run_time(), seconds, most)  # type: ignore[no-untyped-call]
            return None if users is None else (users, SPAWN_RATE)

    return Shape

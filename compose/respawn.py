"""A child that is started again when it ends, so that the others need not end with it."""

import time
from collections.abc import Callable

from compose.child import Child, ChildDied

FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""Whoever has run for so long has not failed at its start: the next pause is the first one again."""


class Respawned:
    """A child that `start` makes. Its owner calls `tend` as long as it is to run."""

    def __init__(self, start: Callable[[], Child], report: Callable[[str], None]) -> None:
        """Starts it; `report` gets a line for each end. Raises ChildDied where it ends in `start`."""
        self._start = start
        self._report = report
        self._pause = FIRST_PAUSE_SECONDS
        self._begin()

    def _begin(self) -> None:
        self._again_at: float | None = None
        self._began = time.monotonic()
        self.child = self._start()

    def tend(self) -> None:
        """Start it again where it has ended, or could not be started, after a pause that doubles each time."""
        try:
            if self._again_at is None:
                self.child.check()
            elif time.monotonic() >= self._again_at:
                self._begin()
        except ChildDied as error:
            now = time.monotonic()
            if now - self._began > STEADY_SECONDS:
                self._pause = FIRST_PAUSE_SECONDS
            self._report(f"{str(error).splitlines()[0].rstrip(':')}; starting it again in {self._pause:.0f} s")
            self._again_at = now + self._pause
            self._pause = min(2 * self._pause, MAX_PAUSE_SECONDS)

    def stop(self) -> None:
        """End it for good."""
        self.child.stop()

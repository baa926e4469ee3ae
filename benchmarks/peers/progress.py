"""Progress of a peer in Python, and its line of JSON at the end. Standard library only: it runs beside the peer."""

import json
import time


class Progress:
    """Counts what is read from the backlog, what passes the rule's filter, and what is added to a window."""

    def __init__(self, payments: int) -> None:
        self.payments = payments
        self.read = 0
        self.passed = 0
        self.added = 0
        self._began = self._startup_cpu = 0.0

    def count_read(self) -> None:
        """Before a payment is decoded."""
        if self.read == 0:
            self._began, self._startup_cpu = time.monotonic(), time.process_time()
        self.read += 1

    @property
    def through(self) -> bool:
        """All that was read and passed has been added; it may not be committed yet."""
        return self.read >= self.payments and self.added >= self.passed

    def line(self) -> str:
        """After the last commit."""
        wall, cpu = time.monotonic() - self._began, time.process_time()
        return json.dumps(
            {
                "payments": self.read,
                "wall_seconds": round(wall, 3),
                "cpu_seconds": round(cpu, 3),
                "startup_cpu_seconds": round(self._startup_cpu, 3),
            }
        )

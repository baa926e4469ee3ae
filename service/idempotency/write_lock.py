"""The lock that a writer of receipts takes before LMDB's own, which would wait for ever for a process that was stopped.

That is all it is for: writers that do not take it are kept apart by LMDB.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_WAIT_SECONDS = 2.0
"""Longest wait; the event loop stands still meanwhile. A write takes some milliseconds."""
POLL_SECONDS = 0.0002


class WriteLock:
    """The lock of a file, until it is closed or its process ends."""

    def __init__(self, file: Path) -> None:
        """Open a file that is there; raises OSError."""
        self._descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock until the end of the block; raises TimeoutError, an OSError, where another process keeps it."""
        give_up_at = time.monotonic() + MAX_WAIT_SECONDS
        while not self._take():
            if time.monotonic() > give_up_at:
                raise TimeoutError(
                    f"another process has been writing receipts for {MAX_WAIT_SECONDS} s: was it stopped?"
                )
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _take(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

"""A file that is this process's alone, out of a numbered row: no two processes may write to one view of the queue.

Whoever uses a file holds a lock beside it as long as he lives. So a service takes up its predecessor's files, and one
that replaces another while that still answers takes files of its own.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import SettingsError

MAX_FILES = 100


@contextmanager
def own_file(first: Path) -> Iterator[Path]:
    """The first of `first` and those with a number before the suffix that nobody uses; raises SettingsError."""
    first.parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, MAX_FILES + 1):
        file = first if number == 1 else first.with_name(f"{first.stem}.{number}{first.suffix}")
        with file.with_name(f"{file.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield file
            return
    raise SettingsError(f"queue_view {first}: it and {MAX_FILES - 1} more files beside it are in use")

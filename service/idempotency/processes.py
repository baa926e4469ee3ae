"""Which processes share a folder of receipts, which of them are alive, and until when each has written down its own.

A process has a file there, holds a lock on it as long as it lives, and sets its modification time to the moment before
which everything that it sent is written down. What a dead one may have left unwritten begins at that moment; once that
was read from the topics, its file is deleted, and it is forgotten.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

PREFIX = "owner-"


class Owners:
    """The processes of one folder, and this one among them: `token` names it."""

    def __init__(self, folder: Path) -> None:
        """Join them."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.token = secrets.randbits(32) or 1
        path = self._path(self.token)
        # Without its lock it would look like that of a dead process.
        unlocked = path.with_name(f"new-{path.name}")
        self._file = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.mark(0.0)
        unlocked.rename(path)

    def mark(self, until: float) -> None:
        """Say that whatever this process sent before `until` (a Unix time) is written down; 0: it knows nothing yet."""
        os.utime(self._file, (until, until))

    def alive(self, token: int) -> bool:
        """Whether a process runs."""
        return token == self.token or _marked(self._path(token), alive=True) is not None

    def forgotten(self, token: int) -> bool:
        """Whether a process is dead, and all that it sent is written down."""
        return not self._path(token).exists()

    def others(self) -> bool:
        """Whether another process runs."""
        return any(_marked(file, alive=True) is not None for file in self._others())

    def up_to_date(self) -> bool:
        """Whether another process runs that has taken note of everything."""
        return any(_marked(file, alive=True) for file in self._others())

    def dead(self) -> dict[Path, float]:
        """The files of dead processes, each with the time until which everything was written down."""
        marked = {file: _marked(file, alive=False) for file in self._others()}
        return {file: until for file, until in marked.items() if until is not None}

    def forget(self, files: Iterable[Path]) -> None:
        """Delete files of dead processes."""
        for file in files:
            file.unlink(missing_ok=True)

    def leave(self) -> None:
        """End; the file stays, for those who come after."""
        os.close(self._file)

    def _others(self) -> list[Path]:
        own = self._path(self.token)
        return [file for file in self._folder.glob(PREFIX + "*") if file != own]

    def _path(self, token: int) -> Path:
        return self._folder / f"{PREFIX}{token:08x}"


def forget_folders(folder: Path) -> None:
    """Delete the folders beside this one in which nobody lives: those of a service that was set otherwise."""
    for other in folder.parent.iterdir():
        if other != folder and not any(_marked(file, alive=True) is not None for file in other.glob(PREFIX + "*")):
            shutil.rmtree(other, ignore_errors=True)


def _marked(file: Path, *, alive: bool) -> float | None:
    """The mark of a process that is alive, or is not; None if it is the other way round, or forgotten."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.fstat(descriptor).st_mtime if alive else None
    else:
        return None if alive else os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)

"""Processes that share a folder of receipts: each is alive or dead, and has written its receipts up to a time.

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


class Processes:
    """The processes of one folder, and this one among them: `token` names it."""

    def __init__(self, folder: Path) -> None:
        """Join the processes of a folder."""
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
        """Say that whatever this process sent before `until` (a Unix time) is written down; 0: nothing is known yet."""
        os.utime(self._file, (until, until))

    def is_alive(self, token: int) -> bool:
        """Tell whether a process runs."""
        return token == self.token or _mark(self._path(token), alive=True) is not None

    def is_forgotten(self, token: int) -> bool:
        """Tell whether a process is dead, and all that it sent is written down."""
        return not self._path(token).exists()

    def has_peers(self) -> bool:
        """Tell whether another process runs."""
        return any(_mark(file, alive=True) is not None for file in self._peer_files())

    def has_current_peers(self) -> bool:
        """Tell whether another process runs that has taken note of everything."""
        return any(_mark(file, alive=True) for file in self._peer_files())

    def dead(self) -> dict[Path, float]:
        """Find the files of dead processes, each with the time until which everything was written down."""
        marks = {file: _mark(file, alive=False) for file in self._peer_files()}
        return {file: until for file, until in marks.items() if until is not None}

    def forget(self, files: Iterable[Path]) -> None:
        """Delete files of dead processes."""
        for file in files:
            file.unlink(missing_ok=True)

    def leave(self) -> None:
        """End; the file stays, for the processes that come after."""
        os.close(self._file)

    def _peer_files(self) -> list[Path]:
        own = self._path(self.token)
        return [file for file in self._folder.glob(PREFIX + "*") if file != own]

    def _path(self, token: int) -> Path:
        return self._folder / f"{PREFIX}{token:08x}"


def join_folder(parent: Path, name_format: str, keep_seconds: int) -> tuple[Path, int]:
    """Choose the folder of a process that keeps receipts for so long, and return how long it has to keep them.

    `name_format` takes the seconds. Where processes run that keep theirs for another time, this one joins them: of two
    folders, neither would know what is in flight in the other.
    """
    own = parent / name_format.format(keep_seconds)
    for folder in () if _is_inhabited(own) else sorted(parent.glob(name_format.format("*"))):
        seconds = folder.name.removeprefix(name_format.format(""))
        if seconds.isdecimal() and _is_inhabited(folder):
            return folder, int(seconds)
    return own, keep_seconds


def forget_folders(folder: Path) -> None:
    """Delete the folders beside this one in which nobody lives: those of a service that was set otherwise."""
    for sibling in folder.parent.iterdir():
        if sibling != folder and not _is_inhabited(sibling):
            shutil.rmtree(sibling, ignore_errors=True)


def _is_inhabited(folder: Path) -> bool:
    return any(_mark(file, alive=True) is not None for file in folder.glob(PREFIX + "*"))


def _mark(file: Path, *, alive: bool) -> float | None:
    """Read the mark of a process that is alive, or is not; None if it is the other way round, or forgotten."""
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

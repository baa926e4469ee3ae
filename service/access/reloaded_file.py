"""A file whose content is read again when it changes."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from schemas.errors import SettingsError

LOOK_AGAIN_SECONDS = 1.0

Content = TypeVar("Content")

log = structlog.get_logger(__name__)


class LiveFile(Generic[Content]):
    """What a file holds, as `read` makes it out; a new object whenever the file has changed."""

    def __init__(self, file: Path, read: Callable[[Path], Content]) -> None:
        """`read` raises SettingsError for a file that makes no sense: here at once."""
        self._file = file
        self._read = read
        self._looked_at = time.monotonic()
        self._state = self._stat()
        self._content = read(file)

    @property
    def content(self) -> Content:
        """As of a second ago at most; a change that makes no sense leaves things as they were, and is logged."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_AGAIN_SECONDS:
            self._looked_at = now
            self._read_again()
        return self._content

    def _read_again(self) -> None:
        state = self._stat()
        if state == self._state:
            return
        self._state = state
        try:
            self._content = self._read(self._file)
        except SettingsError as error:
            log.error("a changed file is not taken in", reason=str(error))  # noqa: TRY400 - the reason says all
        else:
            log.info("file read again", file=str(self._file))

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

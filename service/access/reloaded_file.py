"""A file whose content is read again when it changes."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from schemas.errors import SettingsError

CHECK_SECONDS = 1.0

Content = TypeVar("Content")

log = structlog.get_logger(__name__)


class ReloadedFile(Generic[Content]):
    """The content of a file, as `parse` reads it; a new object whenever the file has changed."""

    def __init__(self, file: Path, parse: Callable[[Path], Content]) -> None:
        """Read the file; `parse`, and so this, raises SettingsError for a file that makes no sense."""
        self._file = file
        self._parse = parse
        self._checked_at = time.monotonic()
        self._state = self._stat()
        self._content = parse(file)

    @property
    def content(self) -> Content:
        """The content of a second ago at most; a change that makes no sense is logged, and leaves it as it was."""
        now = time.monotonic()
        if now - self._checked_at >= CHECK_SECONDS:
            self._checked_at = now
            self._reload()
        return self._content

    def _reload(self) -> None:
        state = self._stat()
        if state == self._state:
            return
        self._state = state
        try:
            self._content = self._parse(self._file)
        except SettingsError as error:
            log.error("a changed file is not taken in", reason=str(error))  # noqa: TRY400 - the reason says all
        else:
            log.info("file read again", file=str(self._file))

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            status = self._file.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

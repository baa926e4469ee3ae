"""A file that is read again when it changes, and not when it makes no sense."""

import os
from pathlib import Path

import pytest

from schemas.errors import SettingsError
from service.access import reloaded_file
from service.access.reloaded_file import ReloadedFile


def number(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file}: {error}") from None


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Looked at each time."""
    monkeypatch.setattr(reloaded_file, "CHECK_SECONDS", 0)
    file = tmp_path / "number"
    file.write_text("1")
    return file


def test_a_change_is_taken_in(file: Path) -> None:
    reloaded = ReloadedFile(file, number)
    assert reloaded.content == 1
    file.write_text("22")
    assert reloaded.content == 22


def test_another_file_in_its_place_is_read_though_it_is_as_old_and_as_long(file: Path, tmp_path: Path) -> None:
    reloaded = ReloadedFile(file, number)
    status = file.stat()
    beside = tmp_path / "beside"
    beside.write_text("2")
    os.utime(beside, ns=(status.st_atime_ns, status.st_mtime_ns))
    beside.rename(file)
    assert reloaded.content == 2


@pytest.mark.parametrize("change", [lambda file: file.write_text("no number"), Path.unlink])
def test_what_makes_no_sense_leaves_it_as_it_was_until_it_does(file: Path, change: object) -> None:
    reloaded = ReloadedFile(file, number)
    change(file)  # type: ignore[operator]
    assert reloaded.content == 1
    file.write_text("333")
    assert reloaded.content == 333


def test_at_the_start_it_has_to_make_sense(file: Path) -> None:
    file.write_text("no number")
    with pytest.raises(SettingsError, match="no number"):
        ReloadedFile(file, number)


def test_the_same_file_is_read_once(file: Path) -> None:
    reads: list[Path] = []
    reloaded = ReloadedFile(file, reads.append)
    for _ in range(3):
        assert reloaded.content is None
    assert reads == [file]

"""The import contracts of setup.cfg hold."""

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports


def test_no_room_imports_what_it_may_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint_imports(no_logo=True, cache_dir=None) == EXIT_STATUS_SUCCESS, capsys.readouterr().out

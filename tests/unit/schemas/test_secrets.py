"""Secrets come from files or the environment, and are never guessed."""

from pathlib import Path

import pytest

from schemas.errors import SettingsError
from schemas.secrets import secret


def test_a_password_file_that_is_not_text_is_said(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"\xff")
    with pytest.raises(SettingsError, match=f"KAFKA_PASSWORD_FILE: {file} is not UTF-8"):
        secret("KAFKA_PASSWORD", file)

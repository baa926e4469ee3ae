"""A made-up past from the command line."""

import subprocess
import sys
from pathlib import Path

import pytest


def run(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "locust/history.py", *words], capture_output=True, check=False)


@pytest.mark.parametrize(
    "words",
    [
        ("--days", "0"),
        ("--payments", "-1"),
        ("--share", "2"),
        ("--share", "nan"),
        ("--first-day", "1969-12-31"),
        ("--first-day", "9999-12-31"),
        ("--truth", "setup.cfg/truth.ndjson"),
    ],
)
def test_what_cannot_be_made_up_is_refused_in_a_few_words(tmp_path: Path, words: tuple[str, str]) -> None:
    ended = run("--payments", "10", "--truth", str(tmp_path / "truth.ndjson"), *words)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"Traceback" not in ended.stderr


def test_as_many_payments_come_as_were_asked_for_and_some_come_again(tmp_path: Path) -> None:
    ended = run("--payments", "1000", "--days", "3", "--truth", str(tmp_path / "truth.ndjson"))
    assert ended.returncode == 0
    assert 1000 <= len(ended.stdout.splitlines()) < 1100

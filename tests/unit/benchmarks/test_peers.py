"""Peers: how they are run, and what is made of their results."""

import re
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.peers import environments, running
from benchmarks.peers.progress import Progress
from benchmarks.peers.running import PeerFailed, PeerMissing

LINE = '{"payments": 600, "wall_seconds": 9.5, "cpu_seconds": 5.0, "startup_cpu_seconds": 2.0}'


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_the_rate_leaves_the_start_out_and_other_output_is_ignored(tmp_path: Path) -> None:
    measured = running.result("peer", python(f"print('hello'); print('{LINE}'); print('bye')"), tmp_path / "log", 20)
    assert (measured.payments, measured.wall_seconds, measured.per_cpu_second) == (600, 9.5, 200.0)


def test_a_peer_that_dies_is_said_to_have_failed_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(PeerFailed, match="no such broker"):
        running.result("peer", python("raise SystemExit('no such broker')"), tmp_path / "log", 20)


def test_a_peer_that_says_nothing_has_failed(tmp_path: Path) -> None:
    with pytest.raises(PeerFailed, match="without a result; it said: nothing of use"):
        running.result("peer", python("print('nothing of use')"), tmp_path / "log", 20)


def test_a_peer_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(PeerFailed, match="not through after 0 s"):
        running.result("peer", python("import time; time.sleep(60)"), tmp_path / "log", 0.2)


def test_what_cannot_be_installed_is_a_peer_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "no-python")
    with pytest.raises(PeerMissing, match=r"quix cannot be installed: .*no-python"):
        environments.environment("quix", tmp_path)


@pytest.mark.parametrize("requirements", sorted(environments.LOCKS.glob("*.in")), ids=lambda file: file.stem)
def test_each_peer_is_locked_by_hash(requirements: Path) -> None:
    lock = requirements.with_suffix(".txt").read_text(encoding="utf-8")
    locked = re.findall(r"^([a-z0-9-]+)==\S+(?: ; [^\\\n]+)? \\\n    --hash=sha256:", lock, re.MULTILINE)
    assert len(locked) == lock.count("==") - lock.count(" == ")
    assert set(re.findall(r"^[a-z0-9-]+", requirements.read_text(encoding="utf-8"), re.MULTILINE)) <= set(locked)


def test_a_peer_is_through_when_all_that_passed_the_filter_is_added() -> None:
    progress = Progress(2)
    progress.count_read()
    progress.passed = progress.added = 1
    assert not progress.through
    progress.count_read()
    assert progress.through
    progress.passed = 2
    assert not progress.through


def test_a_peer_in_python_says_what_can_be_read_here() -> None:
    progress = Progress(1)
    progress.count_read()
    assert msgspec.json.decode(progress.line(), type=running.Measured).payments == 1

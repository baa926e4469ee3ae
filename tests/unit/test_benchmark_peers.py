"""How peers are run, and what is made of what they say."""

import sys
from pathlib import Path

import pytest

from benchmarks.peers import running
from benchmarks.peers.running import PeerFailed

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
    with pytest.raises(PeerFailed, match="not after 0 s"):
        running.result("peer", python("import time; time.sleep(60)"), tmp_path / "log", 0.2)

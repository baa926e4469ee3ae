"""A child that ends is started again, and after longer and longer pauses where it ends at once."""

from pathlib import Path

import pytest

from compose import respawn
from compose.child import Child, ChildDied
from compose.respawn import Respawned


class Clock:
    """`time` of the module, by hand."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(respawn, "time", clock)
    return clock


@pytest.fixture
def starts() -> list[Child]:
    return []


@pytest.fixture
def ends() -> list[str]:
    return []


@pytest.fixture
def unstartable() -> list[int]:
    """Starts, by their numbers, that fail once."""
    return []


@pytest.fixture
def respawned(tmp_path: Path, clock: Clock, starts: list[Child], ends: list[str], unstartable: list[int]) -> Respawned:
    def start() -> Child:
        if len(starts) in unstartable:
            unstartable.remove(len(starts))
            raise ChildDied("sleeper: 90 s are over before it answered; its log is there")
        starts.append(Child("sleeper", ["sh", "-c", "echo a run; exit 3"], tmp_path / "sleeper.log"))
        assert starts[-1].process.wait(60) == 3
        return starts[-1]

    return Respawned(start, ends.append)


def test_it_is_started_again_after_a_pause(respawned: Respawned, clock: Clock, starts: list[Child]) -> None:
    respawned.tend()
    clock.now += 0.9
    respawned.tend()
    assert len(starts) == 1
    clock.now += 0.2
    respawned.tend()
    assert len(starts) == 2


def test_pauses_double_and_each_end_is_said_once(
    respawned: Respawned, clock: Clock, starts: list[Child], ends: list[str]
) -> None:
    for pause in (1, 2, 4, 8, 16, 30, 30):
        respawned.tend()
        respawned.tend()
        assert ends.pop().endswith(f"starting it again in {pause} s")
        assert not ends
        clock.now += pause
        respawned.tend()
    assert len(starts) == 8


def test_the_pause_is_short_again_after_a_steady_run(respawned: Respawned, clock: Clock, ends: list[str]) -> None:
    respawned.tend()
    clock.now += 1
    respawned.tend()
    clock.now += respawn.STEADY_SECONDS + 1
    respawned.tend()
    assert ends[-1].endswith("starting it again in 1 s")


def test_the_log_has_the_words_of_every_run(respawned: Respawned, clock: Clock, tmp_path: Path) -> None:
    respawned.tend()
    clock.now += 1
    respawned.tend()
    assert (tmp_path / "sleeper.log").read_text().splitlines() == ["a run"] * 2


def test_what_cannot_be_started_again_is_tried_again(
    respawned: Respawned, clock: Clock, starts: list[Child], ends: list[str], unstartable: list[int]
) -> None:
    unstartable.append(1)
    respawned.tend()
    clock.now += 1
    respawned.tend()
    assert ends[-1] == "sleeper: 90 s are over before it answered; its log is there; starting it again in 2 s"
    clock.now += 2
    respawned.tend()
    assert len(starts) == 2

"""Several processes behind one port: they end together."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import ServiceSettings, Settings
from service.supervisor import MEMORY, _supervise, serve_all


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def terminate(number: int) -> None:
    os.kill(number, signal.SIGTERM)
    time.sleep(60)


def test_when_one_ends_so_do_the_others_and_that_is_a_failure() -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=sys.exit, args=(0,)), spawn.Process(target=time.sleep, args=(60,))]
    assert _supervise(workers) == 1
    assert not any(worker.is_alive() for worker in workers)


def test_a_signal_ends_all_with_the_worst_status() -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=terminate, args=(os.getpid(),)), spawn.Process(target=time.sleep, args=(60,))]
    assert _supervise(workers) == signal.SIGTERM
    assert not any(worker.is_alive() for worker in workers)


def test_figures_of_several_processes_are_in_memory_where_a_full_disk_cannot_end_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    folders = []

    def supervise(_: object) -> int:
        folders.append(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
        return 0

    monkeypatch.setattr("service.supervisor._supervise", supervise)
    assert serve_all(Settings(service=ServiceSettings(workers=2))) == 0
    (folder,) = folders
    assert folder.is_relative_to(MEMORY)
    assert not folder.exists()

"""CPU time of processes: what they have used, and a limit on what they get."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Thread

import psutil

LOOK_SECONDS = 0.01
MAX_CREDIT_SECONDS = 0.03
"""Of CPU, that a process may use at once."""


def cpu_seconds(process: psutil.Process) -> float:
    """Read the CPU time of a process, user and system, since it began."""
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def cpu_limit(processes: Sequence[psutil.Process], share: float) -> Iterator[None]:
    """Limit each process to a share of a core until the end of the block, so that nothing else of the machine does.

    It is stopped (SIGSTOP) whenever it has had its share, and goes on once that has grown. What it does not use while
    it waits is not kept for later.
    """
    ended = Event()
    threads = [Thread(target=_limit, args=(process, share, ended), daemon=True) for process in processes]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _limit(process: psutil.Process, share: float, ended: Event) -> None:
    with suppress(psutil.NoSuchProcess):
        at, used, credit, stopped = time.monotonic(), cpu_seconds(process), 0.0, False
        while not ended.wait(LOOK_SECONDS):
            now, cpu = time.monotonic(), cpu_seconds(process)
            credit = min(credit + share * (now - at), MAX_CREDIT_SECONDS) - (cpu - used)
            at, used, ahead = now, cpu, credit < 0
            if ahead != stopped:
                (process.suspend if ahead else process.resume)()
                stopped = ahead
        process.resume()

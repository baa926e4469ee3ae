"""Several processes behind one port: each binds it with SO_REUSEPORT, and the kernel deals out the connections."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import tempfile
import threading
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

from schemas.errors import UndertenError
from service.settings import Settings

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder in it is made by tempfile
"""Folder that a full disk does not touch: it would end whoever writes to a file that is mapped."""


def serve_all(settings: Settings) -> int:
    """Serve with as many processes as the settings say; returns the exit status.

    When one ends, so do the others: whoever runs the service starts it as a whole again.
    """
    if settings.service.workers == 1:
        return _serve(settings, 0)
    with tempfile.TemporaryDirectory(
        prefix="underten-metrics-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None
    ) as folder:
        # prometheus_client decides by this, when it is imported, whether its figures go into files that all can read.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        # A process that is forked would inherit threads' locks in whatever state they are.
        spawn = multiprocessing.get_context("spawn")
        workers = [
            spawn.Process(target=_worker, args=(settings, number), name=f"worker {number}")
            for number in range(settings.service.workers)
        ]
        return _supervise(workers)


def _supervise(workers: list[SpawnProcess]) -> int:
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for worker in workers:
        worker.start()
    while not stopping:
        # Python retries a wait that a signal interrupted: hence a limit to each, after which the flag is looked at.
        if multiprocessing.connection.wait([worker.sentinel for worker in workers], timeout=0.2):
            break
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()
    worst = max(abs(worker.exitcode or 0) for worker in workers)
    return worst if stopping else 1


def _worker(settings: Settings, number: int) -> None:
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    try:
        sys.exit(_serve(settings, number))
    except (UndertenError, OSError) as error:
        sys.exit(f"service: {error}")  # as the command line says it; the status is 1


def _end_with_supervisor() -> None:
    """A worker whose supervisor was killed drains and ends, too: nobody else would ever end it, and it has the port."""
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None
    multiprocessing.connection.wait([supervisor.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _serve(settings: Settings, number: int) -> int:
    # Not before PROMETHEUS_MULTIPROC_DIR is set: prometheus_client reads it when it is imported.
    from service.server import serve  # noqa: PLC0415

    return serve(settings, number)

"""`python -m benchmarks`: every benchmark in a process of its own, one table, and results/latest.json."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from rich.console import Console

from benchmarks import edge, latency, stages, windows
from benchmarks.results import Result, keep

BENCHMARKS: tuple[Callable[[], list[Result]], ...] = (
    edge.single_payments,
    edge.against_fastapi,
    edge.batches,
    stages.against_kafka_streams,
    stages.against_python_peers,
    stages.as_windows_grow,
    latency.posted_to_readable,
    stages.two_workers,
    windows.memory_per_window,
    windows.restored_per_second,
)


def main() -> None:
    """Run them one after another: each has the machine for itself, and its memory is its own."""
    screen = Console(stderr=True)
    results: list[Result] = []
    for benchmark in BENCHMARKS:
        screen.print(f"measuring {(benchmark.__doc__ or '').splitlines()[0]}", highlight=False)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            results += process.submit(benchmark).result()
    keep(results)


if __name__ == "__main__":
    main()

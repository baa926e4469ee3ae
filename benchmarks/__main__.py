"""`python -m benchmarks`: every benchmark in a process of its own, one table, and results/latest.json."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cyclopts
from rich.console import Console

from benchmarks import costs, edge, engines, latency, ledger, receipts, review_queue, stages
from benchmarks.results import Result, keep, show
from benchmarks.servers import quiet

BENCHMARKS: tuple[Callable[[], list[Result]], ...] = (
    edge.single_payments,
    edge.against_fastapi,
    edge.batches,
    edge.batches_without_receipts,
    edge.two_service_workers,
    receipts.receipts_in_memory,
    stages.against_kafka_streams,
    stages.against_python_peers,
    engines.all_rules,
    stages.as_the_ledger_grows,
    latency.posted_to_readable,
    stages.two_workers,
    costs.broker_per_payment,
    ledger.memory_per_payment,
    ledger.restored_per_second,
    review_queue.queue_intake,
    review_queue.queue_pages,
)

PROFILES: tuple[Callable[[], list[Result]], ...] = (edge.edge_profile,)
"""Run by name alone."""

SCREEN = Console(stderr=True)


def main(*names: str) -> int:
    """Run the benchmarks; keep their results if all could be run, at full scale. Exit status 1 if one could not.

    Each has the machine for itself, and its memory is its own.

    Parameters
    ----------
    names
        Run these alone, and only show what they found.
    """
    chosen = {benchmark.__name__: benchmark for benchmark in (*BENCHMARKS, *PROFILES)}
    if unknown := set(names) - chosen.keys():
        SCREEN.print(f"no benchmark is called {min(unknown)}; there are {', '.join(chosen)}", highlight=False)
        return 2
    tables = [_measured(chosen[name]) for name in names or [benchmark.__name__ for benchmark in BENCHMARKS]]
    results = [result for table in tables for result in table or ()]
    show(results)
    failed = None in tables
    if not (names or failed) and stages.SCALE == 1:
        keep(results)
    return int(failed)


def _measured(benchmark: Callable[[], list[Result]]) -> list[Result] | None:
    """Results of a benchmark; None, and the reason on the screen, if it came to no end."""
    SCREEN.print(f"measuring {(benchmark.__doc__ or '').splitlines()[0]}", highlight=False)
    began = time.monotonic()
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=quiet) as process:
            results = process.submit(benchmark).result()
    except Exception as error:  # noqa: BLE001 - the others are worth having
        SCREEN.print(f"{benchmark.__name__} failed: {error!r}", highlight=False, markup=False)
        return None
    for result in results:
        SCREEN.print(f"  {result.name}: {result.ratio:.2f} of {result.against}", highlight=False, markup=False)
    SCREEN.print(f"  took {time.monotonic() - began:.0f} s", highlight=False)
    return results


if __name__ == "__main__":
    sys.exit(cyclopts.run(main))

"""A benchmark's result, the table of them, and the file that keeps them."""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

LATEST = Path("benchmarks/results/latest.json")
SPEED_STEPS = 1_000_000
SPEED_ROUNDS = 3
MAX_WIDTH = 1000


class Result(msgspec.Struct, frozen=True):
    """A row: what was measured, against what, and whether the goal was reached.

    `ratio` is value / reference. `goal` reads as what the ratio has to be, such as ">= 1".
    """

    name: str
    value: float
    against: str
    reference: float
    ratio: float
    goal: str
    reached: bool
    spread: float = 0.0
    """The difference between best and worst of several rounds, as a share of the median."""
    skipped: str = ""
    """Why it could not be measured; then the figures say nothing."""


def at_most(name: str, value: float, against: str, reference: float) -> Result:
    """A result that should not be above its reference."""
    return Result(name, value, against, reference, value / reference, "<= 1", value <= reference)


def at_least(name: str, value: float, against: str, reference: float, times: float = 1.0) -> Result:
    """A result that should be at least so many times its reference."""
    ratio = value / reference
    return Result(name, value, against, reference, ratio, f">= {times:g}", ratio >= times)


def at_least_times(
    name: str, values: Sequence[float], against: str, references: Sequence[float], times: float
) -> Result:
    """The same, of the medians of several rounds."""
    result = at_least(name, median(values), against, median(references), times)
    return msgspec.structs.replace(result, spread=(max(values) - min(values)) / result.value)


def skipped(name: str, against: str, times: float, reason: str) -> Result:
    """A comparison that could not be made here, and why."""
    return Result(name, 0.0, against, 0.0, 0.0, f">= {times:g}", reached=False, skipped=reason)


def keep(results: Sequence[Result]) -> None:
    """Write the file."""
    LATEST.parent.mkdir(parents=True, exist_ok=True)
    LATEST.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")


def speed() -> float:
    """Time a fixed piece of Python, in ms: one machine may be three times slower than the next."""
    times = []
    for _ in range(SPEED_ROUNDS):
        began = time.process_time()
        counts: dict[int, int] = {}
        for number in range(SPEED_STEPS):
            counts[number % 1000] = counts.get(number % 1000, 0) + 1
        times.append(time.process_time() - began)
    return 1000 * min(times)


def show(results: Sequence[Result]) -> None:
    """Print the table: one line a row, however wide the screen is, or a file."""
    table = Table("what", "value", "spread", "against", "reference", "ratio", "goal", "reached")
    for result in results:
        numbers = (
            f"{result.value:,.0f}",
            f"{result.spread:.0%}",
            result.against,
            f"{result.reference:,.0f}",
            f"{result.ratio:.2f}",
        )
        table.add_row(result.name, *numbers, result.goal, result.skipped or ("yes" if result.reached else "NO"))
    console = Console()
    console.width = console.measure(table, options=console.options.update(width=MAX_WIDTH)).maximum
    console.print(table)
    console.print(f"{SPEED_STEPS:,} steps of a Python loop take this machine {speed():.0f} ms", highlight=False)

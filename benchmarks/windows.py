"""A task's state: what an open window costs in memory, and how fast windows come back from a changelog."""

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from uuid import UUID

from benchmarks.results import Result, at_least, at_most
from fraud.detection import changelog
from fraud.detection.packed import pack
from fraud.rules import Rule, load
from fraud.windows import RuleWindows
from schemas.payment import Payment

WINDOWS = 1_000_000
BYTES_PER_WINDOW = 600
RESTORED_PER_SECOND = 100_000
DAY_MS = 86_400_000
NOW = 20_000 * DAY_MS


def structuring() -> Rule:
    """The rule that is measured."""
    return next(rule for rule in load() if rule.name == "structuring")


def payments(count: int) -> Iterator[Payment]:
    """As many payments, each of another pair; the same pairs every time."""
    for number in range(count):
        bank = f"Bank {number % 50}"
        yield Payment(str(UUID(int=number)), bank, number % 99_991, 4000.01, "ACH", 100_000 + number)


def filled(windows: RuleWindows, count: int) -> None:
    """Two payments for each of so many windows."""
    for again in range(2):
        for number, payment in enumerate(payments(count)):
            at_ms = NOW + (number + again) % 1000
            windows.add(payment, at_ms, pack(payment, at_ms, "payment_json"))


def resident() -> int:
    """This process's resident memory in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory_per_window() -> list[Result]:
    """Resident bytes per open window of two payments."""
    windows = RuleWindows(structuring())
    gc.collect()
    before = resident()
    filled(windows, WINDOWS)
    gc.collect()
    per_window = (resident() - before) / len(windows)
    name = f"resident bytes per open window, {WINDOWS:,} windows of two payments"
    return [at_most(name, per_window, "bytes", BYTES_PER_WINDOW)]


def restored_per_second() -> list[Result]:
    """Windows per second from changelog records to open windows; the median of three restores."""
    windows = RuleWindows(structuring())
    filled(windows, WINDOWS)
    records = [
        (changelog.window_key("structuring", start, group), changelog.window_value(window))
        for start, group, window in windows
    ]
    records.append((changelog.stream_time_key("structuring"), changelog.stream_time_value(windows)))
    windows.clear()
    rates = [WINDOWS / _restore(records) for _ in range(3)]
    return [at_least("windows restored per second", median(rates), "windows/s", RESTORED_PER_SECOND)]


def _restore(records: list[tuple[bytes, bytes]]) -> float:
    windows = RuleWindows(structuring())
    began = time.perf_counter()
    restoring = changelog.Restore({"structuring": windows})
    for key, value in records:
        restoring.take(key, value)
    restoring.finish()
    seconds = time.perf_counter() - began
    assert len(windows) == WINDOWS
    return seconds

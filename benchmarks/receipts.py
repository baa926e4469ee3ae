"""Receipts of recent payments: what one costs in memory, and how long a look-up and an addition take."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.ledger import resident
from benchmarks.results import Result, at_most
from service.idempotency.address_index import AddressIndex

PAYMENTS = 3_000_000
TOGETHER = 500
"""Payments that are looked up, and added, together."""
KEEP_SECONDS = 600
SECONDS = 590
"""Time in which they come: so long that the index has all its slices."""
BYTES_PER_PAYMENT = 100
MICROSECONDS = 1.0


def receipts_in_memory() -> list[Result]:
    """Resident bytes of the receipts' index for each payment, and µs of CPU for a look-up and an addition."""
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.receipts"], check=True, capture_output=True, text=True
    ).stdout
    size, microseconds = json.loads(answer)
    return [
        at_most(f"resident bytes per receipt, {PAYMENTS:,} payments", size, "bytes", BYTES_PER_PAYMENT),
        at_most(
            f"ns to look a payment up and add it, {PAYMENTS:,} payments", 1000 * microseconds, "ns", 1000 * MICROSECONDS
        ),
    ]


def _measured() -> tuple[float, float]:
    """Bytes and microseconds a payment, in a process of its own."""
    index, before, cpu = AddressIndex(KEEP_SECONDS), resident(), 0.0
    for address, ids in enumerate(_ids()):
        began = time.process_time()
        index.find_all(ids)
        index.add(ids, (1 << 32) + address, now=SECONDS * address * TOGETHER // PAYMENTS)
        cpu += time.process_time() - began
    return (resident() - before) / PAYMENTS, 1e6 * cpu / PAYMENTS


def _ids() -> Iterator[list[bytes]]:
    for _ in range(PAYMENTS // TOGETHER):
        column = os.urandom(16 * TOGETHER)
        yield [column[at : at + 16] for at in range(0, len(column), 16)]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measured()))

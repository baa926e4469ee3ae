"""A task's state: what a payment in the ledger costs in memory, and how fast a ledger comes back from a changelog."""

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks import past
from benchmarks.results import Result, at_least, at_most
from fraud.detection.changelog import Segments, progress
from fraud.detection.ledger import Ledger
from fraud.detection.packed import Origin
from fraud.detection.partition_keys import account_of
from fraud.detection.restore import Restore
from fraud.detection.topology import BY_PAYOR
from fraud.payment_files import RecordedPayment, decode_line
from fraud.rules import Rule, load
from schemas.kafka.topics import PAYMENTS, PAYMENTS_BY_PAYEE
from schemas.payment import exact_cents

DAY = 400_000
"""Payments of the simulated day."""
RESTORED = 1_000_000
COMMIT = 1_000
"""Payments between two commits."""
BYTES_PER_PAYMENT = 250
RESTORED_PER_SECOND = 500_000


def day_of_payments(count: int) -> Iterator[RecordedPayment]:
    """A day of a made-up past."""
    with tempfile.TemporaryDirectory() as folder:
        yield from map(decode_line, past.lines(Path(folder, "truth.ndjson"), payments=count, days=1))


def rules_of(topic: str) -> list[Rule]:
    """The shipped rules of the stage by payor, or by payee."""
    return [rule for rule in load() if rule.input_topic == topic]


def resident() -> int:
    """This process's resident memory in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory_per_payment() -> list[Result]:
    """Resident bytes of both stages' ledgers and running windows, for each payment of a day, all shipped rules."""
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.ledger"], check=True, capture_output=True, text=True
    ).stdout
    name = f"resident bytes per payment, all shipped rules, a day of {DAY:,} payments"
    return [at_most(name, json.loads(answer), "bytes", BYTES_PER_PAYMENT)]


def _memory() -> float:
    """Bytes for each payment; in a process of its own, so that nothing that was freed before is used again."""
    ledgers = {topic: Ledger(rules_of(topic)) for topic in (PAYMENTS, PAYMENTS_BY_PAYEE)}
    accounts = {topic: account_of(topic) for topic in ledgers}
    gc.collect()
    before = resident()
    for offset, payment in enumerate(day_of_payments(DAY)):
        for topic, ledger in ledgers.items():
            if topic == PAYMENTS or ledger.filter(exact_cents(payment.payment_amount)).watches:
                ledger.add(accounts[topic](payment), payment, payment.timestamp, Origin("payment_json", 0, offset))
                if offset % COMMIT == 0:
                    _commit(ledger, None)
    gc.collect()
    return (resident() - before) / DAY


def _commit(ledger: Ledger, segments: Segments | None) -> list[tuple[bytes, bytes | None]]:
    """Do with a ledger what a commit does; return the records for the changelog, if there is one."""
    list(ledger.close())
    expired = ledger.expire()
    records = list(segments.write(ledger.added, expired)) if segments else []
    ledger.added.clear()
    return records


def restored_per_second() -> list[Result]:
    """Payments per second from changelog records to a ledger that is ready; the median of three restores."""
    rules = rules_of(PAYMENTS)
    ledger, segments = Ledger(rules), Segments(BY_PAYOR)
    records: list[tuple[bytes, bytes | None]] = []
    for offset, payment in enumerate(day_of_payments(RESTORED)):
        ledger.add(payment.payor_account_no, payment, payment.timestamp, Origin("payment_json", 0, offset))
        if offset % COMMIT == 0:
            records += _commit(ledger, segments)
    records += _commit(ledger, segments)
    records.append(progress(BY_PAYOR, ledger, 1, ()))
    count = len(ledger)
    del ledger
    rates = [count / _restore(rules, records, count) for _ in range(3)]
    return [at_least("payments restored per second", median(rates), "payments/s", RESTORED_PER_SECOND)]


def _restore(rules: list[Rule], records: list[tuple[bytes, bytes | None]], count: int) -> float:
    ledger = Ledger(rules)
    began = time.process_time()
    restore = Restore(BY_PAYOR, ledger, account_of(PAYMENTS), 1)
    for key, value in records:
        restore.take(key, value)
    assert sum(restore.fill(Segments(BY_PAYOR))) == count
    restore.finish()
    seconds = time.process_time() - began
    assert len(ledger) == count
    return seconds


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_memory()))

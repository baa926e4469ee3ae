"""The review queue's view: how fast it takes cases and engines' rows in, and how fast its pages are read."""

import random
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from uuid import UUID

from benchmarks.results import Result, at_least, at_most
from fraud.comparison.compare import Row
from fraud.rules import DAY_MS
from schemas.case import Case, Group, ListedPayment, case_id, encode_case
from service.queue import subject_reads
from service.queue.agreement import KsqldbRow
from service.queue.batch import TopicRecord
from service.queue.consumer import MAX_RECORDS
from service.queue.view import QueueView
from service.review.parameters import parse_query

PAYORS = 8_000
PAYMENTS = (3, 4, 5)
"""Payments of each payor when its cases are written, one time after the other: from the one with which they fire on."""
WINDOWS = (("structuring", 0, 1), *(("structuring_rolling", day, 3) for day in range(-2, 1)))
"""The four windows of a payor's payments: the rule, the first day, and how many."""
PER_CPU_SECOND = 16_000
"""Twice what the view took in before it folded cases into subjects, at its best."""
READ_PAYORS = 25_000
PAGE_MS = 50.0
ROUNDS = 40
NOW = 20_000 * DAY_MS
QUERIES: tuple[dict[str, str], ...] = (
    {},
    {"sort": "due_at"},
    {"sort": "-total"},
    {"rule": "structuring_rolling"},
    {"status": "cleared"},
    {"min_total": "19000"},
    {"payor": "77"},
    {"overdue": "true", "sort": "due_at"},
)


def payments(payor: int) -> list[ListedPayment]:
    """A payor's payments, always the same."""
    return [
        ListedPayment(str(UUID(int=payor * 10 + number)), 4000.0, "ACH", NOW + payor + number, "payment_json")
        for number in range(PAYMENTS[-1])
    ]


def cases(payor: int, listed: Sequence[ListedPayment]) -> Iterator[Case]:
    """The four cases of a payor with these payments."""
    times = [payment.timestamp or NOW for payment in listed]
    for rule, first_day, days in WINDOWS:
        start = NOW + first_day * DAY_MS
        yield Case(
            case_id=case_id(rule, start, (payor, "First Harbor Bank", payor)),
            rule=rule,
            group=Group(payor, "First Harbor Bank", payor),
            window_start=start,
            window_end=start + days * DAY_MS,
            payment_count=len(listed),
            total_amount=f"{4000 * len(listed)}.00",
            max_amount=4000.0,
            first_payment_at=times[0],
            last_payment_at=times[-1],
            payments=tuple(listed),
            fired_at=times[PAYMENTS[0] - 1],
        )


def written(payors: int, counts: Sequence[int]) -> list[Case]:
    """Cases as they are written: the payors in any order, each payment's four cases together."""
    shuffled = random.Random(1)
    order = []
    for count in counts:
        several = list(range(payors))
        shuffled.shuffle(several)
        order += [(payor, count) for payor in several]
    return [case for payor, count in order for case in cases(payor, payments(payor)[:count])]


def row(case: Case) -> KsqldbRow:
    """The second engine's row of a case."""
    ids = tuple(sorted(payment.id for payment in case.payments))
    figures = Row(case.window_end, case.payment_count, Decimal(case.total_amount), case.max_amount, ids)
    group: dict[str, int | str] = {"payor_account_no": case.group.payor_account_no or 0}
    return KsqldbRow(case.case_id, case.rule, group, case.window_start, case.last_payment_at, figures)


def record(case: Case, offset: int) -> TopicRecord:
    """A case's record."""
    return TopicRecord(0, offset, case.case_id.encode(), encode_case(case))


def queue_intake() -> list[Result]:
    """Cases, and rows of the second engine, that the view takes in per second of CPU."""
    versions = written(PAYORS, PAYMENTS)
    records = [record(case, offset) for offset, case in enumerate(versions)]
    rows = [row(case) for case in versions]
    with TemporaryDirectory(prefix="underten-bench-") as folder:
        view = QueueView(Path(folder, "queue.sqlite"))
        view.compared_until = NOW
        began = time.process_time()
        for start in range(0, len(records), MAX_RECORDS):
            view.apply(records[start : start + MAX_RECORDS], {})
        halfway = time.process_time()
        for start in range(0, len(rows), MAX_RECORDS):
            view.apply([], {}, ksqldb=rows[start : start + MAX_RECORDS])
        ended = time.process_time()
        view.close()
    unit = "a CPU second"
    return [
        at_least("cases taken into the review queue", len(records) / (halfway - began), unit, PER_CPU_SECOND),
        at_least("second engine's rows taken in", len(rows) / (ended - halfway), unit, PER_CPU_SECOND),
    ]


def queue_pages() -> list[Result]:
    """A page of subjects among 100,000 cases, p99 of several filters and orders."""
    with TemporaryDirectory(prefix="underten-bench-") as folder:
        view = QueueView(Path(folder, "queue.sqlite"))
        records = [record(case, offset) for offset, case in enumerate(written(READ_PAYORS, PAYMENTS[:1]))]
        for start in range(0, len(records), MAX_RECORDS):
            view.apply(records[start : start + MAX_RECORDS], {})
        times = [_read(view, query) for _ in range(ROUNDS) for query in QUERIES]
        view.close()
    return [at_most("page of subjects among 100,000 cases, p99", quantiles(times, n=100)[98], "ms", PAGE_MS)]


def _read(view: QueueView, query: dict[str, str]) -> float:
    began = time.perf_counter()
    subject_reads.page(view, parse_query({"by": "subject", **query}))
    return (time.perf_counter() - began) * 1000

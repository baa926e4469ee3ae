"""Pages of the queue while it moves."""

import pytest

from service.queue import case_reads
from service.queue.view import QueueView
from service.review.parameters import parse_query
from tests.unit.service.queue.records import case, record


@pytest.mark.parametrize(
    "sort", ["total", "-total", "payment_count", "-payment_count", "-last_payment_at", "window_start"]
)
def test_pages_show_every_case_once_while_others_arrive(view: QueueView, sort: str) -> None:
    # Many cases share their sort value: the case id decides.
    view.apply([record(case(n, payment_count=n % 4, last_payment_at=n % 5)) for n in range(0, 200, 2)], {})
    before = {case(n)["case_id"] for n in range(0, 200, 2)}
    case_ids: list[str] = []
    parameters = {"sort": sort, "limit": "7"}
    arriving = iter(range(1, 200, 2))
    while True:
        items, cursor = case_reads.page(view, parse_query(parameters))
        case_ids += [item["case_id"] for item in items]
        number = next(arriving)
        view.apply([record(case(number, payment_count=number % 4, last_payment_at=number % 5))], {})
        if cursor is None:
            break
        parameters["cursor"] = str(cursor)
    assert len(case_ids) == len(set(case_ids))
    assert before <= set(case_ids)

"""Cases as they are read: filtered, in order, with those that are related."""

import json

import msgspec
import pytest

from service.queue import case_reads
from service.queue.view import QueueView
from tests.unit.service.queue.records import (
    Q,
    case,
    read_cases,
    record,
)


@pytest.mark.parametrize(
    ("parameters", "numbers"),
    [
        ({"payor": "1"}, [7, 4, 1]),
        ({"payee": "5"}, [5]),
        ({"payee_bank": "C"}, []),
        ({"payee_bank": " b", "payor": "1"}, [7, 4, 1]),
        ({"rule": "fan_in"}, []),
        ({"status": "open", "agreement": "off", "payor": "0"}, [9, 6, 3, 0]),
        ({"status": "cleared"}, []),
        ({"min_total": "10008.03"}, [9, 8]),
        ({"max_total": "10001.03"}, [1, 0]),
        ({"max_total": "10001.02"}, [0]),
        ({"window_start_from": "7000", "window_start_to": "9000"}, [8, 7]),
        ({"sort": "total", "limit": "2"}, [0, 1]),
        ({"sort": "-window_start", "limit": "2"}, [9, 8]),
    ],
)
def test_filters_and_order(view: QueueView, parameters: dict[str, str], numbers: list[int]) -> None:
    view.apply([record(case(number)) for number in range(10)], {})
    assert [item["group"]["payee_account_no"] for item in read_cases(view, **parameters)] == numbers


def test_payments_are_found_by_the_beginning_of_their_ids(view: QueueView) -> None:
    ids = ["0B7E9A52-31f5-4b0e-9f0e-5a1d2c3b4e51", "0b7f0000-31f5-4b0e-9f0e-5a1d2c3b4e51"]
    view.apply([record(case(n, payments=[{"id": payment_id}])) for n, payment_id in enumerate(ids)], {Q[0]: 2})
    assert len(read_cases(view, payment_id="0b7e")) == 1
    assert len(read_cases(view, payment_id=ids[1].upper())) == 1
    view.apply([record(None, key=case(0)["case_id"])], {Q[0]: 3})
    assert read_cases(view, payment_id="0b7e") == []


def test_related_cases_have_the_same_payor_or_the_same_payee(view: QueueView) -> None:
    this = case(0, group={"payor_account_no": 1, "payee_bank": "B", "payee_account_no": 1})
    same_payor = case(1, group={"payor_account_no": 1})
    same_payee = case(2, group={"payee_bank": "B", "payee_account_no": 1})
    same_number_elsewhere = case(3, group={"payor_account_no": 2, "payee_bank": "C", "payee_account_no": 1})
    view.apply([record(content) for content in (this, same_payor, same_payee, same_number_elsewhere)], {})
    related = json.loads(msgspec.json.encode(case_reads.related(view, this["case_id"])))
    assert [item["case_id"] for item in related] == [same_payee["case_id"], same_payor["case_id"]]
    assert "payments" not in related[0]
    assert case_reads.related(view, "nobody") == []

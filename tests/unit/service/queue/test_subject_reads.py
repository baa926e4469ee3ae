"""The queue by subject, from records on."""

import json
from typing import Any

import msgspec
import pytest

from service.queue import case_reads, counts, subject_reads
from service.queue.view import QueueView
from service.review.parameters import parse_query
from tests.unit.service.queue.records import case, decision, record

DAY = 86_400_000
PAYMENTS = [
    {
        "id": f"{n}",
        "payment_amount": 4000.01,
        "payment_method": "ACH",
        "timestamp": 5 * DAY + n,
        "topic": "payment_json",
    }
    for n in range(3)
]
PAIR = {"payor_account_no": 1001, "payee_bank": "First Harbor Bank", "payee_account_no": 9001}


def of_one_sum(payments: list[dict[str, Any]] = PAYMENTS) -> list[dict[str, Any]]:
    """The four cases that a person makes who splits a sum once: a day's window, and three rolling ones."""
    figures = {
        "group": PAIR,
        "payment_count": len(payments),
        "total_amount": f"{4000.01 * len(payments):.2f}",
        "first_payment_at": payments[0]["timestamp"],
        "last_payment_at": payments[-1]["timestamp"],
        "payments": payments,
    }
    day = case(0, **figures, window_start=5 * DAY, window_end=6 * DAY)
    rolling = [
        case(1 + n, **figures, rule="structuring_rolling", window_start=(3 + n) * DAY, window_end=(6 + n) * DAY)
        for n in range(3)
    ]
    return [day, *rolling]


def subjects(view: QueueView, **parameters: str) -> list[dict[str, Any]]:
    items, _ = subject_reads.page(view, parse_query({"by": "subject", **parameters}))
    decoded: list[dict[str, Any]] = json.loads(msgspec.json.encode(items))
    return decoded


def test_one_sum_split_once_is_one_line_with_each_payment_once(view: QueueView) -> None:
    view.apply([record(content) for content in of_one_sum()], {})
    [line] = subjects(view)
    assert line["subject"] == {"payor_account_no": 1001}
    assert (line["payment_count"], line["total_amount"], line["exact"]) == (3, "12000.03", True)
    assert line["rules"] == ["structuring", "structuring_rolling"]
    assert (line["case_count"], line["open_cases"], line["status"]) == (4, 4, "open")
    [own] = [content for content in line["cases"] if content["contained_in"] is None]
    assert own["rule"] == "structuring"


def test_once_all_of_its_cases_are_cleared_nothing_of_a_subject_is_left_to_do(view: QueueView) -> None:
    cases = of_one_sum()
    view.apply([record(content) for content in cases], {})
    view.apply([], {}, decisions=[decision(1, "clear", of=content, outcome="false_positive") for content in cases])
    assert subjects(view, status="open,in_review") == []
    [line] = subjects(view, status="cleared")
    assert (line["open_cases"], line["reviewer"]) == (0, "ann")


def test_a_subject_that_gets_more_payments_has_them_once_and_the_new_sum(view: QueueView) -> None:
    view.apply([record(content) for content in of_one_sum()], {})
    more = [*PAYMENTS, {**PAYMENTS[0], "id": "4", "timestamp": 5 * DAY + 9}]
    view.apply([record(content, offset=9) for content in of_one_sum(more)[:2]], {})
    [line] = subjects(view)
    assert (line["payment_count"], line["total_amount"]) == (4, "16000.04")


def test_what_goes_with_a_case_is_not_counted_any_more_and_a_subject_goes_with_its_last(view: QueueView) -> None:
    first, second = case(1, group={"payor_account_no": 7}), case(2, group={"payor_account_no": 7})
    second["payments"] = [{**PAYMENTS[0], "id": "q", "payment_amount": 5.0}]
    view.apply([record(first), record(second)], {})
    subject_id = subjects(view)[0]["subject_id"]
    since = view.change
    view.apply([record(None, key=first["case_id"])], {})
    [line] = subjects(view)
    assert line["case_count"] == 1
    view.apply([record(None, key=second["case_id"])], {})
    assert subjects(view) == []
    removed = subject_reads.changes(view, since, parse_query({"by": "subject"}), 10).removals
    assert [name for _, name in removed] == [subject_id]


def test_a_subject_has_its_payments_with_both_sides_and_the_rules_that_count_them(view: QueueView) -> None:
    fan_out = case(9, rule="fan_out", group={"payor_account_no": 1001})
    sides = {"payor_account_no": 1001, "payee_bank": "Other Bank", "payee_account_no": 5}
    fan_out["payments"] = [{**PAYMENTS[0], "id": "x", **sides}, PAYMENTS[1]]
    view.apply([record(content) for content in [*of_one_sum(), fan_out]], {})
    [line] = subjects(view)
    subject = subject_reads.subject(view, line["subject_id"])
    assert subject is not None
    payments = {payment["id"]: payment for payment in subject["payments"]}
    assert len(payments) == 4
    assert payments["1"]["rules"] == ["fan_out", "structuring", "structuring_rolling"]
    assert payments["x"]["payee_bank"] == "Other Bank"
    assert payments["0"]["payee_bank"] == "First Harbor Bank"
    assert subject_reads.subject(view, "nobody") is None


def test_subjects_that_share_a_payee_are_related(view: QueueView) -> None:
    view.apply([record(case(n, group={**PAIR, "payor_account_no": n})) for n in range(3)], {})
    [first, *_] = subjects(view, payor="0")
    subject = subject_reads.subject(view, first["subject_id"])
    assert subject is not None
    assert {other["subject"]["payor_account_no"] for other in subject["related"]} == {1, 2}


@pytest.mark.parametrize(
    ("parameters", "payors"),
    [
        ({"payor": "1"}, {1}),
        ({"rule": "fan_out"}, {2}),
        ({"rule": "fan_out,structuring"}, {0, 1, 2}),
        ({"min_total": "10002.00"}, {2}),
        ({"payee": "1", "payee_bank": "B"}, {1}),
        ({"payee": "1", "payee_bank": "C"}, set()),
        ({"window_start_from": "1000", "window_start_to": "2000"}, {1}),
        ({"status": "cleared"}, set()),
        ({"overdue": "true"}, {0, 1, 2}),
        ({"grown": "true"}, set()),
        ({"agreement": "off"}, {0, 1, 2}),
    ],
)
def test_filters_of_subjects(view: QueueView, parameters: dict[str, str], payors: set[int]) -> None:
    view.apply([record(case(0)), record(case(1)), record(case(2, rule="fan_out"))], {})
    assert {line["subject"]["payor_account_no"] for line in subjects(view, **parameters)} == payors
    numbers = counts.counts(view, parse_query({"by": "subject", **parameters}))
    assert numbers["total"] == len(payors)


def test_a_subject_is_found_by_the_beginning_of_a_payments_id_in_any_case(view: QueueView) -> None:
    payment = {**PAYMENTS[0], "id": "0B7E9A52-31f5-4b0e-9f0e-5a1d2c3b4e51"}
    view.apply([record(case(1, payments=[payment])), record(case(2))], {})
    assert len(subjects(view, payment_id="0b7e")) == 1


@pytest.mark.parametrize("by", ["case", "subject"])
@pytest.mark.parametrize("sort", ["-last_payment_at", "last_payment_at", "total", "-fired_at"])
def test_every_line_that_was_there_comes_once_though_lines_move_while_they_are_read(
    view: QueueView, by: str, sort: str
) -> None:
    def numbered(number: int, **changes: Any) -> dict[str, Any]:
        return case(number, group={"payor_account_no": number}, first_payment_at=number, **changes)

    view.apply([record(numbered(number)) for number in range(20)], {})
    read = subject_reads.page if by == "subject" else case_reads.page
    parameters = {"by": by, "sort": sort, "limit": "3"}
    payors: list[int] = []
    for turn in range(100):
        items, cursor = read(view, parse_query(parameters))
        payors += [(item.get("subject") or item["group"])["payor_account_no"] for item in items]
        # Whichever is first now goes last, and the other way round; some that were read, some that were not.
        for number in (turn * 3 % 20, (turn * 7 + 5) % 20):
            moved = numbered(number, last_payment_at=1000 - 50 * turn, total_amount=f"{10_500 - 100 * turn}.00")
            view.apply([record(moved, offset=turn + 1)], {})
        if cursor is None:
            break
        parameters["cursor"] = str(cursor)
    assert sorted(payors) == list(range(20))


def test_versions_and_cases_of_many_subjects_are_read_together(view: QueueView) -> None:
    cases = of_one_sum()
    view.apply([record(content, offset=n) for n, content in enumerate(cases)], {})
    [line] = subjects(view)
    [(version, case_ids)] = subject_reads.case_versions(view, [line["subject_id"], "nobody"]).values()
    assert (version, sorted(case_ids)) == (1 + 2 + 3 + 4, sorted(content["case_id"] for content in cases))
    assert subject_reads.totals(view, [line["subject_id"]]) == {line["subject_id"]: 1_200_003}

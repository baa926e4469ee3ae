"""Decisions and exemptions as the view takes them in, in whatever order they come."""

import json
from typing import Any

import msgspec
import pytest

from service.queue import decision_reads
from service.queue.batch import TopicRecord
from service.queue.view import QueueView
from tests.unit.service.queue.records import (
    Q,
    case,
    decision,
    decoded,
    exemption,
    read_cases,
    record,
)


def test_a_decision_that_is_read_before_its_case_counts(view: QueueView) -> None:
    view.apply([], {}, decisions=[decision(1)])
    assert read_cases(view) == []
    view.apply([record(case())], {Q[0]: 1})
    [item] = read_cases(view)
    assert (item["status"], item["reviewer"], item["version"]) == ("in_review", "ann", 10_001)


def test_of_two_decisions_with_one_number_the_first_stands_and_both_are_kept(view: QueueView) -> None:
    view.apply([record(case())], {Q[0]: 1})
    second = decision(1, decision_id="other", reviewer="bob")
    view.apply([], {}, decisions=[decision(1), second])
    [item] = read_cases(view)
    assert item["reviewer"] == "ann"
    history = json.loads(msgspec.json.encode(decision_reads.history(view, [case()["case_id"]])))
    assert [(entry["reviewer"], entry["took_effect"]) for entry in history] == [("ann", True), ("bob", False)]
    assert decision_reads.effective(view, {case()["case_id"]: "other"}) == set()


def test_a_decision_that_skips_a_number_does_not_stand(view: QueueView) -> None:
    view.apply([record(case())], {Q[0]: 1}, decisions=[decision(2)])
    assert read_cases(view)[0]["status"] == "open"


def test_the_latest_word_on_a_group_counts_whatever_is_read_first(view: QueueView) -> None:
    first, later = case(), case(case_id="c2", window_start=5)
    snooze = decision(1, "snooze", until=2**50)
    ended = decision(1, "reopen", of=later, decision_id="later", time=5000, until=5000)
    for order in ([snooze, ended], [ended, snooze]):
        view.rebuild()
        view.apply([record(first), record(later)], {Q[0]: 1}, decisions=order)
        assert {item["status"] for item in read_cases(view)} == {"open"}


def test_snoozed_cases_wake_when_their_time_has_come(view: QueueView) -> None:
    view.apply([record(case())], {Q[0]: 1}, decisions=[decision(1, "snooze", until=2**47)])
    assert read_cases(view)[0]["status"] == "snoozed"
    assert view.wake(2**47 - 1) == 0
    assert view.wake(2**47) == 1
    assert read_cases(view)[0]["status"] == "open"


def test_a_snooze_does_not_silence_a_case_above_its_ceiling(view: QueueView) -> None:
    snooze = decision(1, "snooze", until=2**47)
    view.apply([record(case())], {Q[0]: 1}, decisions=[snooze])
    assert read_cases(view)[0]["status"] == "snoozed"
    later = case(case_id="later", total_amount="9000000.00")
    view.apply([record(case(total_amount="12000.00"), offset=4), record(later, offset=5)], {Q[0]: 6})
    assert {item["case_id"]: item["status"] for item in read_cases(view)} == {
        case()["case_id"]: "snoozed",
        "later": "open",
    }


def test_an_exemption_silences_cases_before_and_after_it_until_it_is_ended(view: QueueView) -> None:
    view.apply([record(case(0))], {Q[0]: 1}, decisions=[exemption(1)])
    view.apply([record(case(3)), record(case(1)), record(case(6, total_amount="50000.01"))], {Q[0]: 4})
    assert {item["window_start"]: item["status"] for item in read_cases(view)} == {
        0: "snoozed",
        3000: "snoozed",
        1000: "open",
        6000: "open",
    }
    assert [(entry["reviewer"], entry["live"]) for entry in decoded(decision_reads.exemptions(view))] == [("ann", True)]
    view.apply([], {}, decisions=[exemption(2, ended=True, reviewer="bob")])
    assert {item["status"] for item in read_cases(view)} == {"open"}
    assert decision_reads.exemption(view, "e1") is None
    assert [(entry["reviewer"], entry["live"]) for entry in decoded(decision_reads.exemptions(view))] == [
        ("bob", False)
    ]


def test_an_exemption_of_a_payee_silences_cases_that_spell_its_bank_otherwise(view: QueueView) -> None:
    payee = {"payee_bank": "first  bank", "payee_account_no": 7}
    one = case(1, group={"payee_bank": "FIRST BANK", "payee_account_no": 7})
    view.apply([record(one)], {Q[0]: 1}, decisions=[exemption(1, group=payee)])
    assert read_cases(view)[0]["status"] == "snoozed"
    view.apply([], {}, decisions=[exemption(2, group=payee, ended=True)])
    assert read_cases(view)[0]["status"] == "open"


def test_an_exemption_that_is_over_silences_nothing_any_more(view: QueueView) -> None:
    view.apply([record(case(0))], {Q[0]: 1}, decisions=[exemption(1)])
    assert view.wake(2**47) == 1
    assert read_cases(view)[0]["status"] == "open"


def test_a_record_that_is_no_decision_is_passed_over_and_counted(view: QueueView) -> None:
    records = [TopicRecord(0, 1, b"c", b"{}"), TopicRecord(0, 2, b"c", None), TopicRecord(0, 3, b"c", b"\xff")]
    assert view.apply([], {}, decisions=records) == 3


def test_an_exemption_that_names_no_account_is_counted_and_not_kept(view: QueueView) -> None:
    assert view.apply([record(case())], {}, decisions=[exemption(1, group={})]) == 1
    assert decision_reads.exemptions(view) == []
    assert read_cases(view)[0]["status"] == "open"


def test_what_comes_after_it_is_taken_in(view: QueueView) -> None:
    assert view.apply([record(case())], {}, decisions=[exemption(1, group={}), exemption(2)]) == 1
    assert read_cases(view)[0]["status"] == "snoozed"


@pytest.mark.parametrize(
    "changes",
    [
        {"total_amount": "much"},
        {"total_amount": "NaN"},
        {"total_amount": "1e400"},
        {"total_amount": ""},
        {"payment_count": 10**30},
        {"group": {"payor_account_no": "7"}},
        {"group": {"payor_account_no": 10**25}},
        {"group": {"payee_bank": 5}},
    ],
)
def test_a_decision_that_another_producer_got_wrong_is_counted_and_stops_nothing(
    view: QueueView, changes: dict[str, Any]
) -> None:
    wrong = decision(1, "snooze", until=2**47, **changes)
    assert view.apply([record(case())], {}, decisions=[wrong, decision(1, "claim")]) == 1
    assert read_cases(view)[0]["status"] == "in_review"

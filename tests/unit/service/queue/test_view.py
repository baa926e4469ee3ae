"""The review queue's SQLite view."""

import json
import sqlite3
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition

from fraud.comparison.compare import Row
from schemas.kafka.topics import PAYMENT_LATE, REVIEW_QUEUE
from service.queue import case_reads, comparison_reads, counts, decision_reads
from service.queue.agreement import KsqldbRow
from service.queue.batch import TopicRecord
from service.queue.changes import last_change
from service.queue.database import Damaged
from service.queue.view import QueueView
from service.review.parameters import parse_query

SOURCE = {"cluster_id": "a", "topic_id": "b"}
Q = [TopicPartition(REVIEW_QUEUE, number) for number in range(4)]
HEADER = b"\0\0\0\0\7"


@pytest.fixture
def view(tmp_path: Path) -> Iterator[QueueView]:
    view = QueueView(tmp_path / "views" / "queue.sqlite")
    yield view
    view.close()


def case(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "case_id": str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))),
        "rule": "structuring",
        "group": {"payor_account_no": number % 3, "payee_bank": "B", "payee_account_no": number},
        "window_start": 1000 * number,
        "window_end": 1000 * number + 500,
        "payment_count": 2,
        "total_amount": f"{10_000 + number}.03",
        "max_amount": 9000.5,
        "first_payment_at": 1,
        "last_payment_at": 100 + number,
        "payments": [
            {"id": "p", "payment_amount": 1.0, "payment_method": "ACH", "timestamp": 1, "topic": "payment_json"}
        ],
        **changes,
    }


def record(content: dict[str, Any] | None, *, offset: int = 0, key: str = "", header: bytes = HEADER) -> TopicRecord:
    value = None if content is None else header + json.dumps(content).encode()
    return TopicRecord(0, offset, (key or (content or {}).get("case_id", "")).encode(), value)


def listed(view: QueueView, **parameters: str) -> list[dict[str, Any]]:
    items, _ = case_reads.page(view, parse_query(parameters))
    decoded: list[dict[str, Any]] = json.loads(msgspec.json.encode(items))
    return decoded


def test_a_case_reads_as_on_the_topic_with_members_more(view: QueueView) -> None:
    view.apply([record(case(), offset=4)], {Q[0]: 5})
    [item] = listed(view)
    assert {name: item[name] for name in case()} == case()
    added = {"late_payments": 0, "status": "open", "agreement": "off", "version": 50_000, "decisions": 0}
    assert {name: item[name] for name in added} == added


def test_a_value_without_the_wire_formats_header_is_read_too(view: QueueView) -> None:
    view.apply([record(case(), header=b"")], {Q[0]: 1})
    assert len(listed(view)) == 1


def test_a_case_is_updated_in_place_and_its_version_grows(view: QueueView) -> None:
    view.apply([record(case(), offset=1)], {Q[0]: 2})
    view.apply([record(case(payment_count=3, total_amount="12000.03"), offset=8)], {Q[0]: 9})
    [item] = listed(view)
    assert (item["payment_count"], item["total_amount"], item["version"]) == (3, "12000.03", 90_000)
    assert listed(view, min_total="12000.03") == [item]


def test_a_tombstone_removes_its_case(view: QueueView) -> None:
    view.apply([record(case(1)), record(case(2))], {})
    view.apply([record(None, key=case(1)["case_id"])], {})
    assert [item["case_id"] for item in listed(view)] == [case(2)["case_id"]]


def test_a_record_that_is_no_case_is_counted_and_stops_nothing(view: QueueView) -> None:
    bad = [
        TopicRecord(0, 0, b"k", b""),
        TopicRecord(0, 1, b"k", b"\0\0\0\0\1garbage"),
        TopicRecord(0, 2, None, b"{}"),
        TopicRecord(0, 3, b"\xff", None),
        record(case(1, total_amount="12")),
        record(case(2, payment_count="many")),
    ]
    assert view.apply([*bad, record(case(3))], {Q[0]: 9}) == len(bad)
    assert len(listed(view)) == 1
    assert view.positions(SOURCE) == {Q[0]: 9}


@pytest.mark.parametrize(
    ("parameters", "numbers"),
    [
        ({"payor": "1"}, [7, 4, 1]),
        ({"payee": "5"}, [5]),
        ({"payee_bank": "C"}, []),
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
    assert [item["group"]["payee_account_no"] for item in listed(view, **parameters)] == numbers


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


def test_cases_and_positions_are_still_there_after_a_restart(tmp_path: Path) -> None:
    first = QueueView(tmp_path / "queue.sqlite")
    assert first.positions(SOURCE) == {}
    first.apply([record(case())], {Q[0]: 5, Q[3]: 8})
    first.close()
    second = QueueView(tmp_path / "queue.sqlite")
    assert second.positions(SOURCE) == {Q[0]: 5, Q[3]: 8}
    assert len(listed(second)) == 1
    second.close()


@pytest.mark.parametrize("other", [{**SOURCE, "cluster_id": "x"}, {**SOURCE, "topic_id": "x"}])
def test_a_view_of_another_topic_begins_anew(view: QueueView, other: dict[str, str]) -> None:
    view.positions(SOURCE)
    view.apply([record(case())], {Q[0]: 5})
    assert view.positions(other) == {}
    assert counts.count(view) == 0
    assert view.positions(other) == {}


def test_a_view_of_another_layout_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "queue.sqlite"
    old = QueueView(file)
    old.apply([record(case())], {Q[0]: 5})
    old.close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE meta SET value = '0' WHERE name = 'layout'")
    connection.close()
    new = QueueView(file)
    assert (counts.count(new), new.positions(SOURCE)) == (0, {})
    new.close()


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_view_is_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "queue.sqlite"
    file.write_bytes(content)
    view = QueueView(file)
    assert counts.count(view) == 0
    view.close()


def change_and_list_all(view: QueueView) -> None:
    for number in range(2000):
        view.apply([record(case(number, payment_count=5))], {Q[0]: 2})
        listed(view, sort="total")


def test_a_file_damaged_while_it_is_open_says_so_and_can_be_rebuilt(tmp_path: Path) -> None:
    file = tmp_path / "queue.sqlite"
    QueueView(file).close()
    view = QueueView(file)
    view.apply([record(case(number)) for number in range(2000)], {Q[0]: 1})
    view.close()
    view = QueueView(file)
    with file.open("r+b") as handle:
        handle.seek(4096)
        handle.write(b"\xaa" * (file.stat().st_size - 4096))
    with pytest.raises(Damaged):
        change_and_list_all(view)
    view.rebuild()
    assert (counts.count(view), view.positions(SOURCE)) == (0, {})
    view.apply([record(case())], {Q[0]: 1})
    assert len(listed(view)) == 1
    view.close()


def test_late_payments_are_counted_on_their_case_whether_it_is_there_before_them_or_after(view: QueueView) -> None:
    early, later = case(1), case(2)
    at = TopicPartition(PAYMENT_LATE, 0)
    view.apply([record(early)], {Q[0]: 1}, [early["case_id"], later["case_id"], early["case_id"]])
    view.apply([record(later)], {Q[0]: 2, at: 3})
    assert {item["case_id"]: item["late_payments"] for item in listed(view)} == {
        early["case_id"]: 2,
        later["case_id"]: 1,
    }
    assert view.positions(SOURCE)[at] == 3


def ksqldb_row(content: dict[str, Any], *, timestamp: int = 7, deleted: bool = False, **changes: Any) -> KsqldbRow:
    """ksqlDB's row of a case."""
    row = Row(
        content["window_end"],
        content["payment_count"],
        Decimal(content["total_amount"]),
        content["max_amount"],
        tuple(sorted(payment["id"] for payment in content["payments"])),
    )
    return KsqldbRow(
        content["case_id"],
        content["rule"],
        content["group"],
        content["window_start"],
        timestamp,
        None if deleted else msgspec.structs.replace(row, **changes),
    )


FAR_AHEAD = 2**53


@pytest.mark.parametrize(
    ("python", "changes", "agreement"),
    [
        (True, {}, "agree"),
        (True, {"payment_count": 3}, "differ"),
        (True, {"total_amount": Decimal("10000.04")}, "differ"),
        (True, {"deleted": True}, "only_python"),
        (False, {}, "only_ksqldb"),
    ],
)
def test_both_engines_rows_make_a_cases_agreement(
    view: QueueView,
    python: bool,  # noqa: FBT001
    changes: dict[str, Any],
    agreement: str,
) -> None:
    view.compared_until = FAR_AHEAD
    view.apply([record(case())] if python else [], {}, ksqldb=[ksqldb_row(case(), **changes)])
    [item] = listed(view)
    assert item["agreement"] == agreement
    assert listed(view, agreement=agreement) == [item]
    assert listed(view, agreement="pending") == []


def test_the_order_in_which_the_engines_come_does_not_matter(view: QueueView) -> None:
    view.compared_until = FAR_AHEAD
    view.apply([], {}, ksqldb=[ksqldb_row(case(1))])
    view.apply([record(case(1)), record(case(2))], {})
    view.apply([], {}, ksqldb=[ksqldb_row(case(2))])
    assert [item["agreement"] for item in listed(view)] == ["agree", "agree"]


def test_what_an_engine_may_not_have_read_yet_is_pending_but_what_is_equal_agrees_at_once(view: QueueView) -> None:
    view.compared_until = 0
    view.apply([record(case(1)), record(case(2))], {}, ksqldb=[ksqldb_row(case(2))])
    assert [item["agreement"] for item in listed(view, sort="total")] == ["pending", "agree"]
    assert len(listed(view, agreement="pending")) == 1


def test_a_case_that_only_ksqldb_found_says_what_is_known_of_it_and_goes_when_ksqldb_takes_it_back(
    view: QueueView,
) -> None:
    view.compared_until = FAR_AHEAD
    view.apply([], {}, ksqldb=[ksqldb_row(case(), timestamp=99)])
    [item] = listed(view)
    assert item["payments"] == [{"id": "p"}]
    assert (item["first_payment_at"], item["last_payment_at"], item["version"]) == (None, 99, 0)
    assert listed(view, payor="0", min_total="10000.03") == [item]
    view.apply([], {}, ksqldb=[ksqldb_row(case(), deleted=True)])
    assert listed(view) == []


def test_windows_are_counted_by_agreement_and_those_with_late_or_repeated_payments_apart(view: QueueView) -> None:
    view.compared_until = FAR_AHEAD
    rows = [
        ksqldb_row(case(1)),
        ksqldb_row(case(2), payment_count=9),
        ksqldb_row(case(3), payment_count=9),
        ksqldb_row(case(4)),
        ksqldb_row(case(5), payment_count=9),
    ]
    late, repeated = [case(3)["case_id"]], [case(1)["case_id"], *2 * [case(5)["case_id"]]]
    cases = [record(case(number)) for number in (1, 2, 3, 5)]
    view.apply(cases, {}, late=late, ksqldb=rows, repeated=repeated)
    assert comparison_reads.judged(view, "structuring", open_after=2500) == {
        "agree": (1, 1),
        "differ": (1, 1),
        "late": (1, 0),
        "only_ksqldb": (1, 0),
        "repeated": (1, 0),
    }
    [difference] = [unequal for unequal in comparison_reads.differences(view, 10) if unequal["kind"] == "repeated"]
    assert (difference["window_start"], difference["repeated"]) == (case(5)["window_start"], 2)


def test_a_topic_that_is_new_adds_to_the_view(view: QueueView) -> None:
    view.positions(SOURCE)
    view.apply([record(case())], {Q[0]: 1})
    assert view.positions({**SOURCE, "ksqldb_structuring": "x"}) == {Q[0]: 1}
    assert view.positions({**SOURCE, "ksqldb_structuring": "y"}) == {}


def decision(number: int, kind: str = "claim", of: dict[str, Any] | None = None, **changes: Any) -> TopicRecord:
    about = of or case()
    body = {
        "decision_id": f"d{number}",
        "case_id": about["case_id"],
        "number": number,
        "decision": kind,
        "reviewer": "ann",
        "time": 1000 + number,
        "rule": about["rule"],
        "group": about["group"],
        "payment_count": about["payment_count"],
        "total_amount": about["total_amount"],
        **changes,
    }
    return TopicRecord(0, number, about["case_id"].encode(), json.dumps(body).encode())


def test_a_decision_that_is_read_before_its_case_counts(view: QueueView) -> None:
    view.apply([], {}, decisions=[decision(1)])
    assert listed(view) == []
    view.apply([record(case())], {Q[0]: 1})
    [item] = listed(view)
    assert (item["status"], item["reviewer"], item["version"]) == ("in_review", "ann", 10_001)


def test_of_two_decisions_with_one_number_the_first_stands_and_both_are_kept(view: QueueView) -> None:
    view.apply([record(case())], {Q[0]: 1})
    second = decision(1, decision_id="other", reviewer="bob")
    view.apply([], {}, decisions=[decision(1), second])
    [item] = listed(view)
    assert item["reviewer"] == "ann"
    history = json.loads(msgspec.json.encode(decision_reads.history(view, [case()["case_id"]])))
    assert [(entry["reviewer"], entry["took_effect"]) for entry in history] == [("ann", True), ("bob", False)]
    assert decision_reads.effective(view, {case()["case_id"]: "other"}) == set()


def test_a_decision_that_skips_a_number_does_not_stand(view: QueueView) -> None:
    view.apply([record(case())], {Q[0]: 1}, decisions=[decision(2)])
    assert listed(view)[0]["status"] == "open"


def test_the_latest_word_on_a_group_counts_whatever_is_read_first(view: QueueView) -> None:
    first, later = case(), case(case_id="c2", window_start=5)
    snooze = decision(1, "snooze", until=2**50)
    ended = decision(1, "reopen", of=later, decision_id="later", time=5000, until=5000)
    for order in ([snooze, ended], [ended, snooze]):
        view.rebuild()
        view.apply([record(first), record(later)], {Q[0]: 1}, decisions=order)
        assert {item["status"] for item in listed(view)} == {"open"}


def test_snoozed_cases_wake_when_their_time_has_come(view: QueueView) -> None:
    view.apply([record(case())], {Q[0]: 1}, decisions=[decision(1, "snooze", until=2**47)])
    assert listed(view)[0]["status"] == "snoozed"
    assert view.wake(2**47 - 1) == 0
    assert view.wake(2**47) == 1
    assert listed(view)[0]["status"] == "open"


def test_a_snooze_does_not_silence_a_case_above_its_ceiling(view: QueueView) -> None:
    snooze = decision(1, "snooze", until=2**47)
    view.apply([record(case())], {Q[0]: 1}, decisions=[snooze])
    assert listed(view)[0]["status"] == "snoozed"
    later = case(case_id="later", total_amount="9000000.00")
    view.apply([record(case(total_amount="12000.00"), offset=4), record(later, offset=5)], {Q[0]: 6})
    assert {item["case_id"]: item["status"] for item in listed(view)} == {
        case()["case_id"]: "snoozed",
        "later": "open",
    }


def exemption(at: int, **changes: Any) -> TopicRecord:
    body = {
        "exemption_id": "e1",
        "group": {"payor_account_no": 0},
        "rules": [],
        "reason": "payroll",
        "reviewer": "ann",
        "time": at,
        "until": 2**47,
        "max_total": "50000.00",
        **changes,
    }
    return TopicRecord(0, at, b"e1", json.dumps(body).encode())


def test_an_exemption_silences_cases_before_and_after_it_until_it_is_ended(view: QueueView) -> None:
    view.apply([record(case(0))], {Q[0]: 1}, decisions=[exemption(1)])
    view.apply([record(case(3)), record(case(1)), record(case(6, total_amount="50000.01"))], {Q[0]: 4})
    assert {item["window_start"]: item["status"] for item in listed(view)} == {
        0: "snoozed",
        3000: "snoozed",
        1000: "open",
        6000: "open",
    }
    assert [(entry["reviewer"], entry["live"]) for entry in decoded(decision_reads.exemptions(view))] == [("ann", True)]
    view.apply([], {}, decisions=[exemption(2, ended=True, reviewer="bob")])
    assert {item["status"] for item in listed(view)} == {"open"}
    assert decision_reads.exemption(view, "e1") is None
    assert [(entry["reviewer"], entry["live"]) for entry in decoded(decision_reads.exemptions(view))] == [
        ("bob", False)
    ]


def test_an_exemption_that_is_over_silences_nothing_any_more(view: QueueView) -> None:
    view.apply([record(case(0))], {Q[0]: 1}, decisions=[exemption(1)])
    assert view.wake(2**47) == 1
    assert listed(view)[0]["status"] == "open"


def decoded(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads(msgspec.json.encode(items))
    return content


def test_of_a_cases_records_in_a_batch_the_last_one_that_makes_sense_counts(view: QueueView) -> None:
    good = [record(case(total_amount=f"1000{n}.00"), offset=n) for n in range(3)]
    assert view.apply([*good, TopicRecord(0, 3, good[0].key, b"{}")], {Q[0]: 4}) == 1
    [item] = listed(view)
    assert (item["total_amount"], item["version"]) == ("10002.00", 30_000)


def test_what_a_transaction_that_failed_counted_is_no_change(view: QueueView, tmp_path: Path) -> None:
    view.apply([record(case())], {Q[0]: 1})
    before = view.change
    other = sqlite3.connect(tmp_path / "views" / "queue.sqlite")
    other.execute("BEGIN IMMEDIATE")
    view._writer.execute("PRAGMA busy_timeout = 1")  # ms
    with pytest.raises(sqlite3.OperationalError):
        view.apply([record(case(1))], {Q[0]: 2})
    other.rollback()
    other.close()
    assert view.change == before == last_change(view).number


def test_a_record_that_is_no_decision_is_passed_over_and_counted(view: QueueView) -> None:
    records = [TopicRecord(0, 1, b"c", b"{}"), TopicRecord(0, 2, b"c", None), TopicRecord(0, 3, b"c", b"\xff")]
    assert view.apply([], {}, decisions=records) == 3


def test_changes_are_told_once_each_and_in_order(view: QueueView) -> None:
    view.apply([record(case(0)), record(case(1))], {Q[0]: 2})
    epoch, since = last_change(view)
    assert (epoch, since) == (view.epoch, view.change)
    assert case_reads.changes(view, since, parse_query({}), 10) == ([], [])
    view.apply([record(case(1, payment_count=3), offset=5)], {Q[0]: 6})
    view.apply([record(None, key=case(0)["case_id"])], {Q[0]: 7})
    changed, removed = case_reads.changes(view, since, parse_query({"min_total": "20000.00"}), 10)
    [(number, matches, item)] = changed
    assert (item["case_id"], matches) == (case(1)["case_id"], False)
    [(removed_at, case_id)] = removed
    assert case_id == case(0)["case_id"]
    assert since < number < removed_at <= view.change


def test_cases_that_waited_for_the_other_engine_are_changes_one_by_one(view: QueueView) -> None:
    view.compared_until = 0
    view.apply([record(case(number)) for number in range(5)], {Q[0]: 5})
    since = view.change
    view.compared(FAR_AHEAD)
    numbers = []
    while lines := case_reads.changes(view, since, parse_query({}), 2).lines:
        numbers += [number for number, _, _ in lines]
        since = numbers[-1]
    assert len(set(numbers)) == 5
    view.compared(FAR_AHEAD)
    assert view.change == (before := last_change(view).number)
    view.compared(FAR_AHEAD)
    assert view.change == before, "where nothing waited, nothing changes"


def test_a_view_that_is_made_anew_counts_its_changes_under_another_name(view: QueueView) -> None:
    view.apply([record(case())], {Q[0]: 1})
    before = last_change(view)
    view.rebuild()
    after = last_change(view)
    assert after == (view.epoch, view.change)
    assert (after.number, after.epoch == before.epoch) == (0, False)


def test_payments_are_found_by_the_beginning_of_their_ids(view: QueueView) -> None:
    ids = ["0B7E9A52-31f5-4b0e-9f0e-5a1d2c3b4e51", "0b7f0000-31f5-4b0e-9f0e-5a1d2c3b4e51"]
    view.apply([record(case(n, payments=[{"id": payment_id}])) for n, payment_id in enumerate(ids)], {Q[0]: 2})
    assert len(listed(view, payment_id="0b7e")) == 1
    assert len(listed(view, payment_id=ids[1].upper())) == 1
    view.apply([record(None, key=case(0)["case_id"])], {Q[0]: 3})
    assert listed(view, payment_id="0b7e") == []

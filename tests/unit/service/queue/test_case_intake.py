"""A case as the view takes it in: in place, by its last record, with what was late for it."""

from service.queue.batch import TopicRecord
from service.queue.view import QueueView
from tests.unit.service.queue.records import SOURCE, Q, case, read_cases, record


def test_a_case_reads_as_on_the_topic_with_members_more(view: QueueView) -> None:
    view.apply([record(case(), offset=4)], {Q[0]: 5})
    [item] = read_cases(view)
    assert {name: item[name] for name in case()} == case()
    added = {"late_payments": 0, "status": "open", "agreement": "off", "version": 50_000, "decisions": 0}
    assert {name: item[name] for name in added} == added


def test_a_value_without_the_wire_formats_header_is_read_too(view: QueueView) -> None:
    view.apply([record(case(), header=b"")], {Q[0]: 1})
    assert len(read_cases(view)) == 1


def test_a_case_is_updated_in_place_and_its_version_grows(view: QueueView) -> None:
    view.apply([record(case(), offset=1)], {Q[0]: 2})
    view.apply([record(case(payment_count=3, total_amount="12000.03"), offset=8)], {Q[0]: 9})
    [item] = read_cases(view)
    assert (item["payment_count"], item["total_amount"], item["version"]) == (3, "12000.03", 90_000)
    assert read_cases(view, min_total="12000.03") == [item]


def test_a_tombstone_removes_its_case(view: QueueView) -> None:
    view.apply([record(case(1)), record(case(2))], {})
    view.apply([record(None, key=case(1)["case_id"])], {})
    assert [item["case_id"] for item in read_cases(view)] == [case(2)["case_id"]]


def test_a_record_that_is_no_case_is_counted_and_stops_nothing(view: QueueView) -> None:
    bad = [
        TopicRecord(0, 0, b"k", b""),
        TopicRecord(0, 1, b"k", b"\0\0\0\0\1garbage"),
        TopicRecord(0, 2, None, b"{}"),
        TopicRecord(0, 3, b"\xff", None),
        record(case(1, total_amount="12")),
        record(case(2, payment_count="many")),
        *(record(case(4, payments=[{"id": "p", "payment_amount": amount}])) for amount in (1e17, 1e300, -1e300)),
    ]
    assert view.apply([*bad, record(case(3))], {Q[0]: 9}) == len(bad)
    assert len(read_cases(view)) == 1
    assert view.positions(SOURCE) == {Q[0]: 9}


def test_of_a_cases_records_in_a_batch_the_last_one_that_makes_sense_counts(view: QueueView) -> None:
    good = [record(case(total_amount=f"1000{n}.00"), offset=n) for n in range(3)]
    assert view.apply([*good, TopicRecord(0, 3, good[0].key, b"{}")], {Q[0]: 4}) == 1
    [item] = read_cases(view)
    assert (item["total_amount"], item["version"]) == ("10002.00", 30_000)

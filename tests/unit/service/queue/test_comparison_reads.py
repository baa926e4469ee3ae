"""Windows of both engines, counted by what they say together."""

from service.queue import comparison_reads
from service.queue.view import QueueView
from tests.unit.service.queue.records import FAR_AHEAD, case, ksqldb_row, record


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

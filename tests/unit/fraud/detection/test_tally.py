"""A task's tally: metrics from 0 on, counted once a batch has committed, and gauges that go with the task."""

from collections.abc import Mapping

from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from fraud.detection.ledger import Ledger
from fraud.detection.packed import Origin
from fraud.detection.tally import Tally
from fraud.rules import Rule, parse
from schemas.payment import Payment

RULE = """
[[rule]]
name = "tallied"
group_by = ["payor_account_no"]
window = "24h"
min_payments = 2
"""


def rules() -> tuple[Rule, ...]:
    return parse(RULE, "rules.toml")


def tally() -> Tally:
    return Tally("by-payor", 77, ["tallied"], ["payment_json"])


def sample(name: str, labels: Mapping[str, str]) -> float | None:
    return REGISTRY.get_sample_value(name, dict(labels))


def cases() -> float | None:
    return sample("underten_cases_written_total", {"rule": "tallied"})


def test_what_was_counted_is_added_once_by_publishing_it() -> None:
    task = tally()
    before = cases()
    assert before is not None, "the series begins at 0, before there is any case"
    task.add_case("tallied", 0)
    task.add_case("tallied", 0)
    assert cases() == before
    task.publish()
    task.publish()
    assert cases() == before + 2


def test_payments_that_no_rule_counted_are_named_with_the_topic_that_has_them() -> None:
    task = tally()
    task.counts["rejected", "payment_json"] += 3
    task.counts["late", "tallied"] += 1
    task.add_case("tallied", 0)
    with capture_logs() as logs:
        task.publish()
    warnings = [{name: entry[name] for name in entry.keys() & {"topic", "rule", "count", "see"}} for entry in logs]
    assert warnings == [
        {"topic": "payment_json", "count": 3, "see": "payment_rejected"},
        {"rule": "tallied", "count": 1, "see": "payment_late"},
    ]


def test_the_gauges_are_the_ledgers_and_go_with_it() -> None:
    ledger, task = Ledger(rules()), tally()
    payment = Payment("00000000-0000-0000-0000-000000000001", "Bank", 2, 5.0, "ACH", 1)
    ledger.add(1, payment, 1_000, Origin("payment_json", 0, 0))
    labels = {"stage": "by-payor", "task": "77"}
    task.show(ledger)
    assert sample("underten_ledger_payments", labels) == 1.0
    assert sample("underten_windows_open", {"rule": "tallied", "task": "77"}) == 0.0
    task.hide(ledger)
    assert sample("underten_ledger_payments", labels) is None
    assert sample("underten_windows_open", {"rule": "tallied", "task": "77"}) is None

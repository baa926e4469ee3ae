"""The soak's verdict: each way in which something can be lost, doubled or wrong is seen."""

from collections import Counter
from typing import Any

import pytest

from schemas.payment import Payment
from tests.soak.verdict import Case, Raw, Verdict, judge

TOPIC = "payment_json"
DAY = 86_400_000
NOON = 20_000 * DAY + DAY // 2
IDS = [f"00000000-0000-4000-8000-{number:012}" for number in range(3)]


def payment(payment_id: str, **changes: Any) -> Payment:
    values = {"payee_bank": "B", "payee_account_no": 2, "payment_amount": 4000.01, "payor_account_no": 1, **changes}
    return Payment(id=payment_id, payment_method="ACH", **values)


def case(**changes: Any) -> Case:
    return {
        "rule": "structuring",
        "group": {"payor_account_no": 1, "payee_bank": "B", "payee_account_no": 2},
        "window_start": 20_000 * DAY,
        "payment_count": 3,
        "total_amount": "12000.03",
        "max_amount": 4000.01,
        "first_payment_at": NOON,
        "last_payment_at": NOON,
        "payments": [{"id": payment_id} for payment_id in IDS],
        **changes,
    }


def judged(**changes: Any) -> Verdict:
    """Three payments that make one case, and everything as it should be but for the changes."""
    evidence: dict[str, Any] = {
        "sent": {payment_id: (TOPIC, payment(payment_id)) for payment_id in IDS},
        "acknowledged": set(IDS),
        "raw": [Raw(TOPIC, NOON, payment(payment_id)) for payment_id in IDS],
        "ledger": Counter(IDS),
        "cases": {"c": case()},
        "complaints": [],
        **changes,
    }
    return judge(**{"shown": evidence["cases"], **evidence})


def test_all_as_it_should_be() -> None:
    assert str(judged()) == "sent 3 acknowledged 3 lost 0 doubled 0 wrong 0"
    assert judged().good


def test_a_payment_without_an_answer_is_not_good() -> None:
    assert not judged(acknowledged=set(IDS[:2])).good


def test_lost_where_an_acknowledged_payment_is_not_on_its_topic_or_not_on_payments() -> None:
    assert judged(raw=[Raw(TOPIC, NOON, payment(payment_id)) for payment_id in IDS[:2]]).lost == IDS[2:]
    assert judged(ledger=Counter(IDS[1:])).lost == IDS[:1]


def test_doubled_where_a_payment_is_twice_on_the_topics() -> None:
    twice = judged(
        raw=[Raw(TOPIC, NOON, payment(payment_id)) for payment_id in [*IDS, IDS[0]]], ledger=Counter([*IDS, IDS[0]])
    )
    assert twice.doubled == IDS[:1]
    assert len(twice.wrong) == 1  # the case does not count it


@pytest.mark.parametrize(
    "changes",
    [
        {"complaints": ["the service ended with status 1"]},
        {"ledger": Counter([*IDS, IDS[0]])},
        {"raw": [Raw("payment_avro", NOON, payment(payment_id)) for payment_id in IDS]},
        {"raw": [Raw(TOPIC, NOON, payment(payment_id, payment_amount=4000.02)) for payment_id in IDS]},
        {"raw": [Raw(TOPIC, NOON - DAY, payment(payment_id)) for payment_id in IDS]},
        {"cases": {}},
        {"cases": {"c": case(), "d": case(group={"payor_account_no": 3, "payee_bank": "B", "payee_account_no": 2})}},
        {"cases": {"c": case(payment_count=2)}},
        {"cases": {"c": case(total_amount="12000.02")}},
        {"cases": {"c": case(payments=[{"id": payment_id} for payment_id in IDS[:2]])}},
        {"cases": {"c": case(payments=[{"id": payment_id} for payment_id in [IDS[0], *IDS[:2]]])}},
        {"shown": {}},
        {"shown": {"c": case(), "d": case()}},
        {"shown": {"c": case(last_payment_at=NOON + 1)}},
    ],
)
def test_wrong_is_whatever_else_is_not_as_it_should_be(changes: dict[str, Any]) -> None:
    verdict = judged(**changes)
    assert verdict.wrong
    assert not verdict.good

"""Records of payments that count less often than they come: whose window it was, and what is not the same."""

import msgspec

from fraud.deduplication import Repeated
from fraud.detection.packed import Origin, pack
from fraud.detection.uncounted import TopicPosition, late_payment, repeated_payment
from fraud.rules import load
from fraud.windows import RuleWindows
from schemas.case import case_id
from schemas.payment import Payment

MIDNIGHT = 1_795_392_000_000 // 86_400_000 * 86_400_000
PAYMENT = Payment("6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b", "Bank", 2, 5000.0, "ACH", 1)
GROUP = (1, "BANK", 2)
ORIGIN = Origin("payment_avro", 3, 40)


def windows() -> RuleWindows:
    """Those of rule `structuring`, a day after midnight."""
    rule = RuleWindows(load()[0])
    rule.advance(MIDNIGHT + 86_400_000)
    return rule


def test_a_late_payment_names_its_window_and_how_late_it_was() -> None:
    late = late_payment(windows(), MIDNIGHT, GROUP, PAYMENT, ORIGIN, MIDNIGHT + 5)
    assert late.case_id == case_id("structuring", MIDNIGHT, GROUP)
    assert late.group == {"payor_account_no": 1, "payee_bank": "BANK", "payee_account_no": 2}
    assert (late.window_start, late.window_end) == (MIDNIGHT, MIDNIGHT + 86_400_000)
    assert (late.timestamp, late.stream_time) == (MIDNIGHT + 5, MIDNIGHT + 86_400_000)
    assert (late.payment.payee_bank, late.payment.source, late.payment.offset) == ("Bank", "payment_avro", 40)


def repeated(again: Payment) -> tuple[str, ...]:
    """The fields in which a payment that comes again is not the first one."""
    first = pack(PAYMENT, MIDNIGHT, 0, Origin("payment_json", 0, 7))
    record = repeated_payment(Repeated(first, [(windows(), MIDNIGHT, GROUP)]), again, ORIGIN, MIDNIGHT + 5)
    assert record.id == PAYMENT.id
    assert record.first == TopicPosition("payment_json", 0, 7, MIDNIGHT)
    assert record.at == TopicPosition("payment_avro", 3, 40, MIDNIGHT + 5)
    [window] = record.windows
    assert (window.case_id, window.window_start) == (case_id("structuring", MIDNIGHT, GROUP), MIDNIGHT)
    return record.differs


def test_a_payment_that_was_just_sent_twice_differs_in_nothing() -> None:
    assert repeated(PAYMENT) == ()


def test_another_payment_with_the_same_id_says_what_is_not_the_same() -> None:
    other = msgspec.structs.replace(PAYMENT, payment_amount=5000.01, payee_account_no=9)
    assert set(repeated(other)) == {"payment_amount", "payee_account_no"}

"""A report says who, what, when, where and how, and nothing of intent."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from service.review.report import answers, render

AT = 1_795_492_000_000
MADE = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)


def subject(**changes: Any) -> dict[str, Any]:
    payments = [
        {
            "id": f"p{number}",
            "timestamp": AT + 1000 * number,
            "payment_amount": 4000.01 + number,
            "payment_method": "ACH",
            "payor_account_no": 1001,
            "payee_bank": "Harbor <b>& Sons\u200b",
            "payee_account_no": 9001 + number,
            "rules": ["fan_out"],
        }
        for number in range(3)
    ]
    case = {
        "case_id": "c",
        "rule": "fan_out",
        "window_start": AT,
        "window_end": AT + 86_400_000,
        "payment_count": 3,
        "total_amount": "12003.03",
        "status": "escalated",
        "contained_in": None,
    }
    return {
        "subject": {"payor_account_no": 1001},
        "payment_count": 3,
        "total_amount": "12003.03",
        "exact": True,
        "first_payment_at": AT,
        "last_payment_at": AT + 2000,
        "fired_at": AT + 2000,
        "due_at": AT + 30 * 86_400_000,
        "status": "escalated",
        "reviewer": "ann",
        "payments": payments,
        "cases": [case],
        "history": [],
        **changes,
    }


def decision(at: int, note: str | None = None) -> dict[str, Any]:
    fields = {"decision": "escalate", "reviewer": "ann", "time": at, "note": note, "outcome": "confirmed_risk"}
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()} | {"took_effect": True}


def test_the_questions_of_a_narrative_are_answered_in_numbers() -> None:
    narrative = dict(answers(subject()))
    assert narrative["Who"] == "Payor 1001; 1 payor, 3 payees"
    assert narrative["What"] == "3 payments, together $12,003.03; each between $4,000.01 and $4,002.01"
    assert narrative["When"] == "from 2026-11-24 03:46:40 to 2026-11-24 03:46:42"
    assert narrative["How"] == "by ACH; counted by the rules fan_out"
    assert narrative["Clock"].endswith("a report is due by 2026-12-24")


def test_what_strangers_wrote_is_text_and_nothing_in_it_is_hidden() -> None:
    page = render(subject(history=[decision(AT, note="<script>")]), MADE)
    assert "Harbor &lt;b&gt;&amp; Sons\\u200b" in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_payments_since_the_last_report_are_marked() -> None:
    page = render(subject(history=[decision(AT + 500)]), MADE)
    assert page.count('class="since"') == 2
    assert "2 payments since then" in page
    assert 'class="since"' not in render(subject(), MADE)


def test_no_sentence_claims_intent() -> None:
    words = render(subject(history=[decision(AT)]), MADE).lower()
    assert not {"structured to", "evade", "launder", "criminal", "suspicious", "intent"} & set(words.split())
    assert "evad" not in words


def test_a_count_that_is_only_a_bound_says_so() -> None:
    assert dict(answers(subject(exact=False)))["What"].startswith("at least 3 payments")

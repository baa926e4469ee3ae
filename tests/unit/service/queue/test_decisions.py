"""What follows from reviewers' decisions."""

from typing import Any

import pytest

from service.queue.decisions import (
    MOST_DECISIONS,
    Decision,
    Figures,
    InvalidWish,
    NotPossible,
    Review,
    Wish,
    check,
    permit,
    review_of,
    subject,
)

NOW = 1_795_492_000_000
SEEN = Figures(2, "10000.01")
GROUP: dict[str, int | str] = {"payor_account_no": 1, "payee_bank": "B", "payee_account_no": 2}


def decided(*kinds: str, reviewer: str = "ann") -> list[Decision]:
    more: dict[str, dict[str, Any]] = {
        "clear": {"outcome": "false_positive"},
        "escalate": {"outcome": "confirmed_risk"},
        "assign": {"assignee": "bob"},
        "snooze": {"until": NOW + 1},
    }
    return [
        Decision(
            decision_id=f"d{number}",
            case_id="c",
            number=number,
            decision=kind,  # type: ignore[arg-type]
            reviewer=reviewer,
            time=NOW + number,
            rule="structuring",
            group=GROUP,
            payment_count=SEEN.payment_count,
            total_amount=SEEN.total_amount,
            **more.get(kind, {}),
        )
        for number, kind in enumerate(kinds, 1)
    ]


@pytest.mark.parametrize(
    ("kinds", "status", "reviewer", "outcome"),
    [
        ((), "open", None, None),
        (("note",), "open", None, None),
        (("claim",), "in_review", "ann", None),
        (("assign",), "in_review", "bob", None),
        (("claim", "note"), "in_review", "ann", None),
        (("claim", "snooze"), "open", None, None),
        (("claim", "clear"), "cleared", "ann", "false_positive"),
        (("escalate",), "escalated", "ann", "confirmed_risk"),
        (("clear", "reopen"), "open", None, None),
        (("clear", "reopen", "escalate"), "escalated", "ann", "confirmed_risk"),
    ],
)
def test_decisions_lead_to_a_status(
    kinds: tuple[str, ...], status: str, reviewer: str | None, outcome: str | None
) -> None:
    review = review_of(decided(*kinds), SEEN)
    assert (review.status, review.reviewer, review.outcome, review.number) == (status, reviewer, outcome, len(kinds))


@pytest.mark.parametrize("figures", [Figures(3, "17000.00"), Figures(2, "10000.02"), Figures(1, "5000.00")])
def test_a_cleared_case_with_other_figures_is_open_again_and_says_why(figures: Figures) -> None:
    review = review_of(decided("claim", "clear"), figures)
    assert (review.status, review.reviewer, review.outcome, review.number) == ("open", None, None, 2)
    assert review.reopened is not None
    assert review.reopened.reviewer == "ann"
    assert figures.total_amount in review.reopened.why


def test_an_escalated_case_that_grows_stays_escalated() -> None:
    assert review_of(decided("escalate"), Figures(3, "17000.00")).status == "escalated"


def test_a_case_that_is_claimed_after_it_grew_still_says_that_it_was_cleared_before() -> None:
    review = review_of(decided("clear", "claim"), Figures(3, "17000.00"))
    assert review.status == "in_review"
    assert review.reopened is not None


def test_a_case_reopened_by_hand_is_not_said_to_have_grown() -> None:
    assert review_of(decided("clear", "reopen"), Figures(3, "17000.00")).reopened is None


@pytest.mark.parametrize(
    ("kinds", "status"), [((), "snoozed"), (("claim",), "in_review"), (("clear",), "cleared"), (("snooze",), "snoozed")]
)
def test_only_open_cases_are_snoozed(kinds: tuple[str, ...], status: str) -> None:
    assert review_of(decided(*kinds), SEEN, snoozed=True).status == status


def wish(decision: str, reviewer: str = "ann", **more: Any) -> Wish:
    return Wish(decision, reviewer, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "review"),
    [
        (wish("claim"), Review("in_review", "ann")),
        (wish("claim"), Review("in_review", "bob")),
        (wish("clear"), Review("in_review", "bob")),
        (wish("reopen"), Review("in_review", "bob")),
        (wish("snooze"), Review("in_review", "bob")),
        (wish("clear"), Review("cleared", "ann")),
        (wish("escalate"), Review("cleared", "ann")),
        (wish("claim"), Review("escalated", "ann")),
        (wish("assign"), Review("escalated", "ann")),
        (wish("reopen"), Review("open")),
        (wish("note"), Review("open", number=MOST_DECISIONS)),
    ],
)
def test_what_a_case_does_not_allow_is_refused(asked: Wish, review: Review) -> None:
    with pytest.raises(NotPossible):
        permit(asked, review)


@pytest.mark.parametrize(
    ("asked", "review"),
    [
        (wish("claim"), Review("open")),
        (wish("claim"), Review("snoozed")),
        (wish("clear"), Review("open")),
        (wish("clear"), Review("in_review", "ann")),
        (wish("assign"), Review("in_review", "bob")),
        (wish("reopen"), Review("in_review", "ann")),
        (wish("reopen"), Review("snoozed")),
        (wish("reopen"), Review("escalated", "bob")),
        (wish("note"), Review("cleared", "bob")),
    ],
)
def test_what_a_case_allows_is_permitted(asked: Wish, review: Review) -> None:
    permit(asked, review)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (wish("clear"), "outcome"),
        (wish("note", outcome="false_positive"), "outcome"),
        (wish("assign"), "assignee"),
        (wish("claim", assignee="bob"), "assignee"),
        (wish("snooze"), "until"),
        (wish("snooze", until=NOW), "until"),
        (wish("snooze", until=NOW + 400 * 86_400_000), "until"),
        (wish("note"), "note"),
    ],
)
def test_a_wish_that_makes_no_sense_names_its_field(asked: Wish, field: str) -> None:
    with pytest.raises(InvalidWish) as caught:
        check(asked, NOW)
    assert caught.value.field == field


def test_what_a_snooze_silences_does_not_depend_on_the_order_of_columns() -> None:
    assert subject("structuring", GROUP) == subject("structuring", dict(reversed(GROUP.items())))
    assert subject("structuring", GROUP) != subject("velocity", GROUP)

"""Consequences of reviewers' decisions."""

from typing import Any

import msgspec
import pytest

from service.queue.decisions import (
    MAX_DECISIONS,
    CaseFigures,
    Decision,
    DecisionRequest,
    InvalidDecision,
    NotPossible,
    Review,
    check,
    is_proposal,
    permit,
    review_of,
    silence_key,
)

NOW = 1_795_492_000_000
SEEN = CaseFigures(2, "10000.01")
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


@pytest.mark.parametrize("figures", [CaseFigures(3, "17000.00"), CaseFigures(2, "10000.02"), CaseFigures(1, "5000.00")])
def test_a_cleared_case_with_other_figures_is_open_again_and_says_why(figures: CaseFigures) -> None:
    review = review_of(decided("claim", "clear"), figures)
    assert (review.status, review.reviewer, review.outcome, review.number) == ("open", None, None, 2)
    assert review.reopened is not None
    assert review.reopened.reviewer == "ann"
    assert figures.total_amount in review.reopened.why


def test_an_escalated_case_that_grows_stays_escalated() -> None:
    assert review_of(decided("escalate"), CaseFigures(3, "17000.00")).status == "escalated"


def test_a_case_that_is_claimed_after_it_grew_still_says_that_it_was_cleared_before() -> None:
    review = review_of(decided("clear", "claim"), CaseFigures(3, "17000.00"))
    assert review.status == "in_review"
    assert review.reopened is not None


def test_a_case_reopened_by_hand_is_not_said_to_have_grown() -> None:
    assert review_of(decided("clear", "reopen"), CaseFigures(3, "17000.00")).reopened is None


@pytest.mark.parametrize(
    ("kinds", "status"), [((), "snoozed"), (("claim",), "in_review"), (("clear",), "cleared"), (("snooze",), "snoozed")]
)
def test_only_open_cases_are_snoozed(kinds: tuple[str, ...], status: str) -> None:
    assert review_of(decided(*kinds), SEEN, silenced=True).status == status


def request(decision: str, reviewer: str = "ann", **more: Any) -> DecisionRequest:
    return DecisionRequest(decision, reviewer, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("decision_request", "review"),
    [
        (request("claim"), Review("in_review", "ann")),
        (request("claim"), Review("in_review", "bob")),
        (request("clear"), Review("in_review", "bob")),
        (request("reopen"), Review("in_review", "bob")),
        (request("snooze"), Review("in_review", "bob")),
        (request("clear"), Review("cleared", "ann")),
        (request("escalate"), Review("cleared", "ann")),
        (request("claim"), Review("escalated", "ann")),
        (request("assign"), Review("escalated", "ann")),
        (request("reopen"), Review("open")),
        (request("note"), Review("open", number=MAX_DECISIONS)),
    ],
)
def test_what_a_case_does_not_allow_is_refused(decision_request: DecisionRequest, review: Review) -> None:
    with pytest.raises(NotPossible):
        permit(decision_request, review)


@pytest.mark.parametrize(
    ("decision_request", "review"),
    [
        (request("claim"), Review("open")),
        (request("claim"), Review("snoozed")),
        (request("clear"), Review("open")),
        (request("clear"), Review("in_review", "ann")),
        (request("assign"), Review("in_review", "bob")),
        (request("reopen"), Review("in_review", "ann")),
        (request("reopen"), Review("snoozed")),
        (request("reopen"), Review("escalated", "bob")),
        (request("note"), Review("cleared", "bob")),
    ],
)
def test_what_a_case_allows_is_permitted(decision_request: DecisionRequest, review: Review) -> None:
    permit(decision_request, review)


@pytest.mark.parametrize(
    ("decision_request", "field"),
    [
        (request("clear"), "outcome"),
        (request("note", outcome="false_positive"), "outcome"),
        (request("assign"), "assignee"),
        (request("claim", assignee="bob"), "assignee"),
        (request("snooze"), "until"),
        (request("snooze", until=NOW), "until"),
        (request("snooze", until=NOW + 400 * 86_400_000), "until"),
        (request("note"), "note"),
    ],
)
def test_a_wish_that_makes_no_sense_names_its_field(decision_request: DecisionRequest, field: str) -> None:
    with pytest.raises(InvalidDecision) as caught:
        check(decision_request, NOW)
    assert caught.value.field == field


def test_a_decided_case_that_gets_more_payments_has_grown_since() -> None:
    grown = CaseFigures(30, "9000000.00")
    for kinds in (("escalate",), ("claim",), ("claim", "note")):
        growth = review_of(decided(*kinds), grown).growth
        assert growth is not None
        assert (growth.reviewer, growth.payment_count, growth.decision) == ("ann", SEEN.payment_count, kinds[0])
        assert review_of(decided(*kinds), SEEN).growth is None


@pytest.mark.parametrize(
    ("changes", "ceiling"),
    [
        ({}, (2_000_002, 2**53)),
        ({"max_total": "50000.00"}, (5_000_000, 2**53)),
        ({"max_total": "50000.00", "max_payments": 9}, (5_000_000, 9)),
    ],
)
def test_a_snooze_has_a_ceiling_twice_what_was_seen_if_it_names_none(
    changes: dict[str, Any], ceiling: tuple[int, int]
) -> None:
    [snooze] = decided("snooze")
    assert msgspec.structs.replace(snooze, **changes).ceiling == ceiling


def proposed(kind: str, reviewer: str = "ann") -> Review:
    [decision] = decided(kind, reviewer=reviewer)
    return review_of([msgspec.structs.replace(decision, proposal=True)], SEEN)


@pytest.mark.parametrize("kind", ["clear", "escalate"])
def test_a_proposal_is_in_review_until_a_second_reviewer_decides_the_same(kind: str) -> None:
    review = proposed(kind)
    assert (review.status, review.reviewer, review.outcome) == ("in_review", "ann", None)
    with pytest.raises(NotPossible, match="a second reviewer must agree"):
        permit(request(kind, "ann"), review)
    permit(request(kind, "bob"), review)
    permit(request("reopen", "bob"), review)


def test_a_proposal_to_clear_what_has_changed_since_is_none_and_its_reviewer_has_it_in_review() -> None:
    [first] = decided("clear")
    review = review_of([msgspec.structs.replace(first, proposal=True)], CaseFigures(3, "1000000.00"))
    assert (review.status, review.reviewer, review.proposal) == ("in_review", "ann", None)
    assert review.growth is not None
    with pytest.raises(NotPossible, match="ann has it in review"):
        permit(request("clear", "bob"), review)
    permit(request("clear", "ann"), review)
    assert is_proposal(request("clear", "ann"), review, 100_000_000, 0)


def test_a_proposal_to_escalate_stands_however_much_the_case_has_grown() -> None:
    [first] = decided("escalate")
    review = review_of([msgspec.structs.replace(first, proposal=True)], CaseFigures(3, "1000000.00"))
    assert review.proposal is not None


def test_above_the_sum_the_first_decision_is_a_proposal_and_the_second_reviewers_is_none() -> None:
    opened, above = Review(), 1_000_001
    assert is_proposal(request("clear"), opened, above, 1_000_000)
    assert not is_proposal(request("clear"), opened, above, above)
    assert not is_proposal(request("clear"), opened, above, None)
    assert not is_proposal(request("claim"), opened, above, 0)
    review = proposed("clear")
    assert not is_proposal(request("clear", "bob"), review, above, 0)
    assert is_proposal(request("clear", "ann"), review, above, 0)
    assert is_proposal(request("escalate", "bob"), review, above, 0), "another decision is another proposal"


def test_a_second_reviewers_decision_closes_the_case() -> None:
    first, second = decided("escalate", "escalate")
    first = msgspec.structs.replace(first, proposal=True)
    second = msgspec.structs.replace(second, reviewer="bob")
    review = review_of([first, second], SEEN)
    assert (review.status, review.reviewer, review.proposal) == ("escalated", "bob", None)


def test_what_a_snooze_silences_does_not_depend_on_the_order_of_columns() -> None:
    assert silence_key("structuring", GROUP) == silence_key("structuring", dict(reversed(GROUP.items())))
    assert silence_key("structuring", GROUP) != silence_key("velocity", GROUP)

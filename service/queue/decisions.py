"""What reviewers decide, and what follows from it for a case. Pure: decisions in, the state of a review out.

    open ──claim, assign──▶ in_review ──clear──▶ cleared
      ▲                        │    └──escalate──▶ escalated
      └────────reopen──────────┴──────────reopen────────┘

A case may also be cleared or escalated without a claim. A note changes nothing. Snoozing silences a rule for a group:
its open cases are "snoozed" until a date. A cleared case that has changed since is open again.

The decisions on a case are numbered from 1. Of two that were written with the same number, the one that Kafka has
first stands, in every process and for ever; the other one took no effect, and its reviewer is told (409).
"""

from collections.abc import Iterable
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from schemas.case import Group
from schemas.payment import Time

Kind = Literal["claim", "assign", "clear", "escalate", "reopen", "snooze", "note"]
Outcome = Literal["false_positive", "valuable_alert", "confirmed_risk"]
Status = Literal["open", "in_review", "cleared", "escalated", "snoozed"]

OUTCOMES: tuple[str, ...] = get_args(Outcome)
STATUSES: tuple[str, ...] = get_args(Status)
TRUE_OUTCOMES = frozenset({"valuable_alert", "confirmed_risk"})
"""Outcomes that say the rule was right to fire."""

MOST_DECISIONS = 9_999
"""On one case."""
LONGEST_SNOOZE_MS = 366 * 86_400_000

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]
Text = Annotated[str, Meta(min_length=1, max_length=4000, pattern=r"\S")]


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a reviewer asks for; `until` in ms since the epoch. `reviewer` may be left to the token."""

    decision: Kind
    reviewer: Annotated[str, Meta(max_length=100)] = ""
    note: Text | None = None
    outcome: Outcome | None = None
    assignee: Name | None = None
    until: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class Figures(msgspec.Struct, frozen=True):
    """What a reviewer saw of a case: if it has others later, the case has changed."""

    payment_count: int
    total_amount: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A record of `review_decisions`; `time` and `until` in ms since the epoch.

    `rule` and `group` stand in it so that what a snooze silences is known without the case.
    """

    decision_id: str
    case_id: str
    number: Annotated[int, Meta(ge=1, le=MOST_DECISIONS)]
    decision: Kind
    reviewer: str
    time: Time
    note: str | None = None
    outcome: Outcome | None = None
    assignee: str | None = None
    until: Time | None = None
    rule: str
    group: dict[str, int | str]
    payment_count: int
    total_amount: str

    @property
    def figures(self) -> Figures:
        """What the reviewer saw."""
        return Figures(self.payment_count, self.total_amount)


class Reopened(msgspec.Struct, frozen=True):
    """Why a case is open again though somebody cleared it: with which figures, and who."""

    why: str
    reviewer: str
    time: int
    payment_count: int
    total_amount: str


class Review(msgspec.Struct, frozen=True):
    """Where the review of a case stands; `number` is that of the last decision, 0 before the first."""

    status: Status = "open"
    reviewer: str | None = None
    """Who has claimed it, or who closed it."""
    outcome: Outcome | None = None
    decided_at: int | None = None
    number: int = 0
    cleared: Decision | None = None
    """The decision that cleared it, as long as nobody has opened it again by hand."""
    reopened: Reopened | None = None

    @property
    def closed(self) -> bool:
        """Whether it was cleared or escalated."""
        return self.status in {"cleared", "escalated"}


class InvalidWish(Exception):
    """A wish that makes no sense whatever the case is; `field` is what is wrong with it."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field


class NotPossible(Exception):
    """A decision that this case does not allow as it stands."""


def subject(rule: str, group: Group | dict[str, int | str]) -> str:
    """What a snooze silences: a rule for a group, as one text."""
    return f"{rule}|{msgspec.json.encode(group, order='sorted').decode()}"


def check(wish: Wish, now: int) -> None:
    """Raises InvalidWish for a wish that lacks something, or has what its decision does not take."""
    if not wish.reviewer.strip():
        raise InvalidWish("reviewer", "says nobody's name")
    takes = {"outcome": {"clear", "escalate"}, "assignee": {"assign"}, "until": {"snooze"}}
    for field, decisions in takes.items():
        given = getattr(wish, field) is not None
        if given and wish.decision not in decisions:
            raise InvalidWish(field, f"{wish.decision} takes no {field}")
        if not given and wish.decision in decisions:
            choices = f": {', '.join(OUTCOMES)}" if field == "outcome" else ""
            raise InvalidWish(field, f"{wish.decision} needs {field}{choices}")
    if wish.decision == "note" and wish.note is None:
        raise InvalidWish("note", "a note needs its text in note")
    if wish.until is not None and not now < wish.until <= now + LONGEST_SNOOZE_MS:
        raise InvalidWish("until", "is not within the next 366 days (milliseconds since 1970-01-01 UTC)")


def permit(wish: Wish, review: Review) -> None:
    """Raises NotPossible, saying why, where the case as it stands does not allow the decision."""
    if review.number >= MOST_DECISIONS:
        raise NotPossible(f"a case takes {MOST_DECISIONS} decisions; this one has them")
    if wish.decision == "note":
        return
    if review.closed and wish.decision != "reopen":
        raise NotPossible(f"{review.reviewer} has {review.status} it; reopen it first")
    if wish.decision == "reopen" and review.status == "open":
        raise NotPossible("it is open")
    if review.status == "in_review" and wish.decision != "assign":
        if review.reviewer != wish.reviewer:
            raise NotPossible(f"{review.reviewer} has it in review; assign it to somebody else first")
        if wish.decision == "claim":
            raise NotPossible("you have claimed it already")


def after(review: Review, decision: Decision) -> Review:
    """The review after one more decision. Whether it was permitted was checked when it was written."""
    now = msgspec.structs.replace(review, number=decision.number, reopened=None)
    match decision.decision:
        case "claim" | "assign":
            who = decision.assignee or decision.reviewer
            return msgspec.structs.replace(
                now, status="in_review", reviewer=who, outcome=None, decided_at=decision.time
            )
        case "clear":
            return msgspec.structs.replace(_closed(now, "cleared", decision), cleared=decision)
        case "escalate":
            return _closed(now, "escalated", decision)
        case "reopen":
            return Review(number=decision.number, decided_at=decision.time)
        case "snooze":
            return msgspec.structs.replace(now, status="open", reviewer=None, decided_at=decision.time)
        case "note":
            return now


def _closed(review: Review, status: Status, decision: Decision) -> Review:
    return msgspec.structs.replace(
        review,
        status=status,
        reviewer=decision.reviewer,
        outcome=decision.outcome,
        decided_at=decision.time,
        cleared=None,
    )


def review_of(decisions: Iterable[Decision], figures: Figures, *, snoozed: bool = False) -> Review:
    """Where a case with these figures stands after the decisions that took effect, in order of their numbers."""
    review = Review()
    for decision in decisions:
        review = after(review, decision)
    if review.cleared is not None and review.cleared.figures != figures:
        review = _open_again(review, review.cleared, figures)
    return msgspec.structs.replace(review, status="snoozed") if snoozed and review.status == "open" else review


def _open_again(review: Review, cleared: Decision, figures: Figures) -> Review:
    why = (
        f"{cleared.reviewer} cleared it with {cleared.payment_count} payments and ${cleared.total_amount}; "
        f"it has {figures.payment_count} payments and ${figures.total_amount} now"
    )
    reopened = Reopened(why, cleared.reviewer, cleared.time, cleared.payment_count, cleared.total_amount)
    if review.status == "cleared":
        return Review(number=review.number, decided_at=review.decided_at, cleared=cleared, reopened=reopened)
    return msgspec.structs.replace(review, reopened=reopened)

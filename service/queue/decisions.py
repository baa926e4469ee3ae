"""Reviewers' decisions, and what follows from them for a case. Pure: decisions in, the state of a review out.

    open ──claim, assign──▶ in_review ──clear──▶ cleared
      ▲                        │    └──escalate──▶ escalated
      └────────reopen──────────┴──────────reopen────────┘

A case may also be cleared or escalated without a claim. A note changes nothing. Snoozing silences a rule for a group:
its open cases are "snoozed" until a date, or until they grow above a ceiling. A cleared case that has changed since is
open again; an escalated one, or one in review, has grown. Where a second reviewer must agree, the first clearing or
escalation is a proposal: the case is in review until somebody else decides the same. A proposal to clear is none any
more where the case has changed since.

The decisions on a case are numbered from 1. Of two that were written with the same number, the one that Kafka has
first stands, in every process and for ever; the other one took no effect, and its reviewer is told (409).
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from fraud.rules import DAY_MS
from schemas.case import Count, DollarText, Group
from schemas.payment import Time

DecisionKind = Literal["claim", "assign", "clear", "escalate", "reopen", "snooze", "note"]
ReviewOutcome = Literal["false_positive", "valuable_alert", "confirmed_risk"]
ReviewStatus = Literal["open", "in_review", "cleared", "escalated", "snoozed"]

OUTCOMES: tuple[str, ...] = get_args(ReviewOutcome)
STATUSES: tuple[str, ...] = get_args(ReviewStatus)
TRUE_OUTCOMES = frozenset({"valuable_alert", "confirmed_risk"})
"""Outcomes that say the rule was right to fire."""
CLOSING = frozenset({"clear", "escalate"})

MAX_DECISIONS = 9_999
"""On one case."""
MAX_SNOOZE_MS = 366 * DAY_MS
CEILING_FACTOR = 2
"""A snooze without a ceiling of its own ends where a case's total is above so many times what its reviewer saw."""

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]
Text = Annotated[str, Meta(min_length=1, max_length=4000, pattern=r"\S")]


class DecisionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reviewer's request; `until` in ms since the epoch. `reviewer` may be left to the token.

    `max_total` (dollars) and `max_payments` are a snooze's ceiling.
    """

    decision: DecisionKind
    reviewer: Annotated[str, Meta(max_length=100)] = ""
    note: Text | None = None
    outcome: ReviewOutcome | None = None
    assignee: Name | None = None
    until: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    max_total: DollarText | None = None
    max_payments: Count | None = None


class CaseFigures(msgspec.Struct, frozen=True):
    """Count and total (dollars) of a case: a reviewer saw these, and if it has others later, it has changed."""

    payment_count: int
    total_amount: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A record of `review_decisions`; `time` and `until` in ms since the epoch.

    `rule` and `group` stand in it so that what a snooze silences is known without the case.
    """

    decision_id: str
    case_id: str
    number: Annotated[int, Meta(ge=1, le=MAX_DECISIONS)]
    decision: DecisionKind
    reviewer: str
    time: Time
    note: str | None = None
    outcome: ReviewOutcome | None = None
    assignee: str | None = None
    until: Time | None = None
    max_total: DollarText | None = None
    max_payments: Count | None = None
    proposal: bool = False
    """A second reviewer must decide the same before the case is closed."""
    rule: str
    group: Group
    payment_count: Count
    total_amount: DollarText

    @property
    def key(self) -> str:
        """The record's key."""
        return self.case_id

    @property
    def figures(self) -> CaseFigures:
        """The figures that the reviewer saw."""
        return CaseFigures(self.payment_count, self.total_amount)

    @property
    def ceiling(self) -> tuple[int, int]:
        """The largest total, in cents, and the largest count at which a snooze still silences."""
        total = Decimal(self.max_total) if self.max_total else CEILING_FACTOR * Decimal(self.total_amount)
        return int(total * 100), 2**53 if self.max_payments is None else self.max_payments


class Reopened(msgspec.Struct, frozen=True):
    """The reason for which a case is open again though somebody cleared it: who, and with which figures."""

    why: str
    reviewer: str
    time: int
    payment_count: int
    total_amount: str


class Growth(msgspec.Struct, frozen=True):
    """A case's growth since a decision on it: the decision, and the figures that its reviewer saw."""

    decision: DecisionKind
    reviewer: str
    time: int
    payment_count: int
    total_amount: str


class Review(msgspec.Struct, frozen=True):
    """A case's review; `number` is that of the last decision, 0 before the first."""

    status: ReviewStatus = "open"
    reviewer: str | None = None
    """The reviewer who has claimed it, or closed it."""
    outcome: ReviewOutcome | None = None
    decided_at: int | None = None
    number: int = 0
    cleared: Decision | None = None
    """The decision that cleared it, as long as nobody has opened it again by hand."""
    reopened: Reopened | None = None
    basis: Decision | None = None
    """The decision since which growth counts: the last claim, assignment or escalation."""
    growth: Growth | None = None
    proposal: Decision | None = None
    """The clearing or escalation to which a second reviewer has to agree."""

    @property
    def closed(self) -> bool:
        """True if it was cleared or escalated."""
        return self.status in {"cleared", "escalated"}


class InvalidDecision(Exception):
    """A request that makes no sense whatever the case is; `field` is at fault."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field


class NotPossible(Exception):
    """A decision that this case does not allow as it stands."""


def silence_key(rule: str, group: Group) -> str:
    """The rule and group that a snooze silences, as one text."""
    return f"{rule}|{msgspec.json.encode(group, order='sorted').decode()}"


_TAKERS = {
    "outcome": frozenset({"clear", "escalate"}),
    "assignee": frozenset({"assign"}),
    "until": frozenset({"snooze"}),
}
_MAY_TAKE = {"max_total": frozenset({"snooze"}), "max_payments": frozenset({"snooze"})}


def check(request: DecisionRequest, now: int) -> None:
    """Raise InvalidDecision for a request that lacks a field, or has one that its decision does not take."""
    if not request.reviewer.strip():
        raise InvalidDecision("reviewer", "says nobody's name")
    for field, kinds in (_TAKERS | _MAY_TAKE).items():
        present = getattr(request, field) is not None
        if present and request.decision not in kinds:
            raise InvalidDecision(field, f"{request.decision} takes no {field}")
        if not present and field in _TAKERS and request.decision in kinds:
            choices = f": {', '.join(OUTCOMES)}" if field == "outcome" else ""
            raise InvalidDecision(field, f"{request.decision} needs {field}{choices}")
    if request.decision == "note" and request.note is None:
        raise InvalidDecision("note", "a note needs its text in note")
    if request.until is not None and not now < request.until <= now + MAX_SNOOZE_MS:
        raise InvalidDecision("until", "is not within the next 366 days (milliseconds since 1970-01-01 UTC)")


def permit(request: DecisionRequest, review: Review) -> None:
    """Raise NotPossible, saying why, where the case as it stands does not allow the decision."""
    kind = request.decision
    if review.number >= MAX_DECISIONS:
        raise NotPossible(f"a case takes {MAX_DECISIONS} decisions; this one has them")
    if kind == "note":
        return
    if review.closed and kind != "reopen":
        raise NotPossible(f"{review.reviewer} has {review.status} it; reopen it first")
    if kind == "reopen" and review.status == "open":
        raise NotPossible("it is open")
    if review.proposal is not None and kind in {"reopen", review.proposal.decision}:
        if kind != "reopen" and review.proposal.reviewer == request.reviewer:
            raise NotPossible(f"you have proposed to {kind} it; a second reviewer must agree")
        return
    if review.status == "in_review" and kind != "assign":
        if review.reviewer != request.reviewer:
            raise NotPossible(f"{review.reviewer} has it in review; assign it to somebody else first")
        if kind == "claim":
            raise NotPossible("you have claimed it already")


def is_proposal(request: DecisionRequest, review: Review, total_cents: int, four_eyes_cents: int | None) -> bool:
    """Say whether a decision closes the case only once a second reviewer has decided the same.

    `four_eyes_cents`: the sum above which two must agree; None: never.
    """
    if four_eyes_cents is None or request.decision not in CLOSING or total_cents <= four_eyes_cents:
        return False
    proposal = review.proposal
    return proposal is None or proposal.decision != request.decision or proposal.reviewer == request.reviewer


def after(review: Review, decision: Decision) -> Review:  # noqa: PLR0911 - one line for each kind of decision
    """Return the review after one more decision. Whether it was permitted was checked when it was written."""
    if decision.decision == "note":
        return msgspec.structs.replace(review, number=decision.number, reopened=None)
    next_review = Review(number=decision.number, decided_at=decision.time, cleared=review.cleared)
    replace = msgspec.structs.replace
    match decision.decision:
        case "claim" | "assign":
            holder = decision.assignee or decision.reviewer
            return replace(next_review, status="in_review", reviewer=holder, basis=decision)
        case "clear" | "escalate" if decision.proposal:
            holder = review.reviewer or decision.reviewer
            return replace(next_review, status="in_review", reviewer=holder, basis=decision, proposal=decision)
        case "clear":
            return _closed(next_review, "cleared", decision)
        case "escalate":
            return _closed(next_review, "escalated", decision)
        case "reopen":
            return replace(next_review, cleared=None)
        case _:
            return next_review


def _closed(review: Review, status: ReviewStatus, decision: Decision) -> Review:
    return msgspec.structs.replace(
        review,
        status=status,
        reviewer=decision.reviewer,
        outcome=decision.outcome,
        cleared=decision if status == "cleared" else None,
        basis=decision if status == "escalated" else None,
    )


def review_of(decisions: Iterable[Decision], figures: CaseFigures, *, silenced: bool = False) -> Review:
    """Return the review of a case with these figures after the decisions that took effect, in order of their numbers.

    `silenced`: a snooze or an exemption holds for it.
    """
    review = Review()
    for decision in decisions:
        review = after(review, decision)
    if review.cleared is not None and review.cleared.figures != figures:
        review = _open_again(review, review.cleared, figures)
    if review.proposal is not None and review.proposal.decision == "clear" and review.proposal.figures != figures:
        # The second reviewer would clear what the first one has not seen.
        review = msgspec.structs.replace(review, proposal=None)
    if review.basis is not None and figures.payment_count > review.basis.payment_count:
        review = msgspec.structs.replace(review, growth=_growth(review.basis))
    return msgspec.structs.replace(review, status="snoozed") if silenced and review.status == "open" else review


def _open_again(review: Review, cleared: Decision, figures: CaseFigures) -> Review:
    why = (
        f"{cleared.reviewer} cleared it with {cleared.payment_count} payments and ${cleared.total_amount}; "
        f"it has {figures.payment_count} payments and ${figures.total_amount} now"
    )
    reopened = Reopened(why, cleared.reviewer, cleared.time, cleared.payment_count, cleared.total_amount)
    if review.status == "cleared":
        return Review(number=review.number, decided_at=review.decided_at, cleared=cleared, reopened=reopened)
    return msgspec.structs.replace(review, reopened=reopened)


def _growth(basis: Decision) -> Growth:
    return Growth(basis.decision, basis.reviewer, basis.time, basis.payment_count, basis.total_amount)

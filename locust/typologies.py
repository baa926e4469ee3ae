"""Structuring as it is done: a sum above $10,000, parted by somebody who does not want the report. Pure.

What a pattern is, its truth says: who, which payments, when it was complete. No rule and no window has a part in it, so
that whoever changes a rule sees what that finds and what it loses. `TYPOLOGIES` is the whole of it as a table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, NamedTuple, TypeVar

from local_time import HOUR_MS, MINUTE_MS, some_days, utc_ms, zone
from parties import FIRST_SUSPECT, METHODS, Accounts, Ids, Payee, respelled

from schemas.payment import Payment

LINE_CENTS = 10_000_00
"""Above this a report is due (31 CFR 1010.311); whoever pays at most that much at a time owes none."""
MIN_CENTS = 900_00
"""Nobody parts a sum into less: it would take too many payments."""

Dealt = TypeVar("Dealt")
Style = Literal["just below", "line", "round", "even", "uneven"]


class Typology(NamedTuple):
    """A way to part a sum. All bounds are inclusive; `days` are local ones, `hours` those of the day."""

    name: str
    payors: tuple[int, int]
    payees: tuple[int, int]
    parts: tuple[int, int]
    days: tuple[int, int]
    hours: tuple[int, int]
    styles: tuple[Style, ...] = ("just below", "line", "round", "even", "uneven")
    minutes: int | None = None
    """All within so many minutes."""


TYPOLOGIES = (
    #                          payors   payees    parts     days     hours
    Typology("day split", (1, 1), (1, 1), (2, 6), (1, 1), (8, 18)),
    Typology("evening split", (1, 1), (1, 1), (2, 4), (1, 1), (17, 24)),
    Typology("split over days", (1, 1), (1, 1), (2, 8), (2, 6), (8, 22)),
    Typology("split over weeks", (1, 1), (1, 1), (3, 12), (8, 21), (8, 22)),
    Typology("few accounts", (1, 1), (2, 4), (3, 8), (1, 3), (8, 24)),
    Typology("many accounts", (1, 1), (5, 10), (5, 12), (1, 2), (8, 24)),
    Typology("just below to several", (1, 1), (3, 8), (3, 8), (1, 6), (8, 24), ("just below", "line")),
    Typology("few helpers", (2, 4), (1, 1), (3, 8), (1, 3), (8, 24)),
    Typology("many helpers", (5, 10), (1, 1), (5, 12), (1, 2), (8, 24)),
    Typology("ring", (2, 4), (2, 4), (4, 12), (2, 14), (8, 22)),
    Typology("burst", (1, 1), (1, 12), (10, 12), (1, 1), (0, 24), ("round", "even", "uneven"), minutes=10),
)


@dataclass(frozen=True, eq=False)
class Pattern:
    """Payments that belong together, in order of time, and when each is made (ms since the epoch)."""

    typology: str
    crime: bool
    run: str
    payments: tuple[Payment, ...]
    made_at: tuple[int, ...]

    def truth(self, made_at: Mapping[int, int]) -> dict[str, Any]:
        """The pattern's line of the truth, given when its payments were made (ms by place); others were not made.

        `completed_at` is None where some were not.
        """
        payments = [self.payments[place] for place in sorted(made_at)]
        payees = {(payment.payee_bank, payment.payee_account_no) for payment in payments}
        return {
            "kind": "pattern",
            "typology": self.typology,
            "crime": self.crime,
            "payors": sorted({payment.payor_account_no for payment in payments}),
            "payees": [{"bank": bank, "account_no": account_no} for bank, account_no in sorted(payees)],
            "payment_ids": [payment.id for payment in payments],
            "completed_at": max(made_at.values()) if len(made_at) == len(self.payments) else None,
            "run": self.run,
        }


def pattern(
    typology: str,
    crime: bool,  # noqa: FBT001
    ids: Ids,
    rng: Random,
    transfers: list[tuple[int, int, Payee, int]],
    method: str | None = None,
) -> Pattern:
    """A pattern of payments given as (ms, payor, payee, cents), in whatever order."""
    ordered = sorted(transfers)
    payments = [
        Payment(ids.new(), payee.bank, payee.account_no, cents / 100, method or rng.choice(METHODS), payor)
        for _, payor, payee, cents in ordered
    ]
    return Pattern(typology, crime, ids.run, tuple(payments), tuple(at_ms for at_ms, *_ in ordered))


class Crimes:
    """Draws patterns of crime on some days, counted from 1 January 1970; each has accounts that no other one has."""

    def __init__(self, seed: int | str, ids: Ids, days: range) -> None:
        self._rng = Random(f"crimes-{seed}")
        self._ids = ids
        self._days = days
        self._accounts = Accounts(FIRST_SUSPECT + self._rng.randrange(2**29), self._rng)
        self._round: list[Typology] = []

    def next(self) -> Pattern:
        """The next pattern: of each typology one, in an order that changes from round to round."""
        if not self._round:
            self._round = list(TYPOLOGIES)
            self._rng.shuffle(self._round)
        return self.draw(self._round.pop())

    def draw(self, typology: Typology) -> Pattern:
        """A pattern of a typology."""
        rng = self._rng
        payors = [self._accounts.new() for _ in range(rng.randint(*typology.payors))]
        payees = [self._accounts.payee() for _ in range(rng.randint(*typology.payees))]
        count = max(rng.randint(*typology.parts), len(payors), len(payees))
        amounts = parts(rng, rng.choice(typology.styles), count)
        times = self._times(typology, count)
        if rng.random() < 0.35:
            spelled = [Payee(respelled(payee.bank, rng), payee.account_no) for payee in _deal(rng, payees, count)]
        else:
            spelled = _deal(rng, payees, count)
        transfers = list(zip(times, _deal(rng, payors, count), spelled, amounts, strict=True))
        return pattern(typology.name, True, self._ids, rng, transfers)  # noqa: FBT003

    def _times(self, typology: Typology, count: int) -> list[int]:
        rng = self._rng
        hours_ahead = zone(rng)
        first, last = typology.hours
        days = some_days(rng, self._days, rng.randint(*typology.days), count)
        if typology.minutes is not None:
            start = utc_ms(days[0], rng.uniform(first, last), hours_ahead)
            return [start + rng.randrange(typology.minutes * MINUTE_MS) for _ in range(count)]
        if days[0] == days[-1] and rng.random() < 0.3:  # one after the other, in a single visit
            start = utc_ms(days[0], rng.uniform(first, last), hours_ahead)
            return [start + rng.randrange(HOUR_MS) for _ in range(count)]
        return [utc_ms(day, rng.uniform(first, last), hours_ahead) for day in days]


def parts(rng: Random, style: Style, count: int) -> list[int]:
    """Cents of the parts of a sum above the line, each from `MIN_CENTS` to exactly the line, as people like them."""
    while True:
        amounts = [min(max(amount, MIN_CENTS), LINE_CENTS) for amount in _STYLES[style](rng, count)]
        if sum(amounts) > LINE_CENTS:
            return amounts


def _just_below(rng: Random, count: int) -> list[int]:
    liked = (9_000_00, 9_500_00, 9_500_00, 9_800_00, 9_900_00, 9_900_00, 9_950_00, 9_999_00, 9_999_99)
    usual = rng.choice(liked)
    return [rng.choice((usual, rng.choice(liked), rng.randrange(8_500_00, LINE_CENTS))) for _ in range(count)]


def _line(rng: Random, count: int) -> list[int]:
    return [LINE_CENTS if rng.random() < 0.9 else rng.randrange(9_000, 10_000) * 100 for _ in range(count)]


def _round(rng: Random, count: int) -> list[int]:
    step = rng.choice((100_00, 500_00, 1_000_00))
    greatest = rng.randint(3_000_00 // step, LINE_CENTS // step)
    return [step * rng.randint(1, greatest) for _ in range(count)]


def _even(rng: Random, count: int) -> list[int]:
    share = rng.randrange(10_100_00, 60_000_00) // count
    return [share + rng.randint(-share // 20, share // 20) for _ in range(count)]


def _uneven(rng: Random, count: int) -> list[int]:
    return [rng.randrange(MIN_CENTS, LINE_CENTS + 1) for _ in range(count)]


_STYLES: Mapping[Style, Callable[[Random, int], list[int]]] = {
    "just below": _just_below,
    "line": _line,
    "round": _round,
    "even": _even,
    "uneven": _uneven,
}


def _deal(rng: Random, some: Sequence[Dealt], count: int) -> list[Dealt]:
    """Deal so many out of some things, each at least once, in any order."""
    hand = [*some, *(rng.choice(some) for _ in range(count - len(some)))]
    rng.shuffle(hand)
    return hand

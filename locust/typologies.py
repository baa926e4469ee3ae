"""Payments as a bank sees them, and among them patterns whose truth is known: pure, and the same for the same seed.

What a pattern should lead to does not come from the rules' file: each typology brings the law's lines as numbers of its
own, and the times at which its payments were made say which of them it crossed. So whoever changes a rule sees what
that costs.

    traffic = Traffic(seed=7)
    for sent in traffic.take(1000):
        sent.payment                                # to be sent
        if sent.instance is not None: ...           # one of a pattern's, at place `sent.place` in it
    truth = instance.truth({place: timestamp, ...}) # once it is known when its payments were made
"""

import hashlib
import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from schemas.payment import Payment, cents

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS

LINE_CENTS = 10_000_00
"""Above this a report is due (31 CFR 1010.311)."""
BURST = 20
"""Payments of a burst: however a ten-minute boundary cuts it, ten of them are on one side."""

PAYORS = 1_000_000
EMPLOYERS = 200_000
SHOPS = 400_000
LANDLORDS = 200_000
FIRST_SHOP = 2_000_000
FIRST_LANDLORD = 3_000_000
FIRST_EMPLOYER = 4_000_000
FIRST_SUSPECT = 2**30
"""Accounts of patterns lie from here on: nobody of the ordinary mix is among them."""

BANKS = (
    "First Harbor Bank",
    "Prairie Mutual",
    "Union Savings of Duluth",
    "Second State",
    "Cape Fear Trust",
    "Sierra Community Bank",
)
METHODS = ("ACH", "Wire", "Check", "Cash")


@dataclass(frozen=True)
class Line:
    """What is crossed once payments within a window are this many and together above this sum.

    `window_ms` and `advance_ms` as rules have them: windows are aligned to 1 January 1970 and begin every `advance_ms`.
    """

    rule: str
    window_ms: int
    advance_ms: int
    above_cents: int = 0
    payments: int = 1

    def crossed_by(self, made: Iterable[tuple[int, int]]) -> int | None:
        """The time at which payments, as (ms, cents) in order of time, first cross the line; None if they do not."""
        first: dict[int, tuple[int, int]] = {}
        for at_ms, amount in made:
            newest = at_ms - at_ms % self.advance_ms
            for start in range(newest, at_ms - self.window_ms, -self.advance_ms):
                count, total = first.get(start, (0, 0))
                first[start] = count + 1, total + amount
                if count + 1 >= self.payments and total + amount > self.above_cents:
                    return at_ms
        return None


STRUCTURING = Line("structuring", DAY_MS, DAY_MS, above_cents=LINE_CENTS)
ROLLING = Line("structuring_rolling", 3 * DAY_MS, DAY_MS, above_cents=LINE_CENTS)
FAN_OUT = Line("fan_out", DAY_MS, DAY_MS, above_cents=LINE_CENTS, payments=5)
FAN_IN = Line("fan_in", DAY_MS, DAY_MS, above_cents=LINE_CENTS, payments=5)
JUST_BELOW = Line("just_below", DAY_MS, DAY_MS, payments=3)
VELOCITY = Line("velocity", 10 * MINUTE_MS, 10 * MINUTE_MS, payments=10)


@dataclass(frozen=True, eq=False)
class Instance:
    """A pattern, once: its payments in order, when each is made (ms after the first), the lines that it is about.

    `starts_at` is where in a day the first payment belongs, in ms after midnight UTC.
    """

    typology: str
    run: str
    group: dict[str, int | str]
    payments: tuple[Payment, ...]
    after_ms: tuple[int, ...]
    starts_at: int
    lines: tuple[Line, ...]

    def truth(self, made_at: Mapping[int, int]) -> dict[str, Any]:
        """What should be found of it, given when its payments were made (ms by place); those not made are left out.

        No part of a pattern crosses a line before the whole does, so all lines are crossed by the same payment.
        """
        made = sorted((at_ms, cents(self.payments[place].payment_amount)) for place, at_ms in made_at.items())
        crossed = {line.rule: line.crossed_by(made) for line in self.lines}
        times = [at_ms for at_ms in crossed.values() if at_ms is not None]
        return {
            "typology": self.typology,
            "expected": [rule for rule, at_ms in crossed.items() if at_ms is not None],
            "group": self.group,
            "payment_ids": [self.payments[place].id for place in sorted(made_at)],
            "crossed_at": max(times, default=None),
            "run": self.run,
        }


class Ids:
    """UUIDs of a run: all begin with the same eight digits, by which its payments are known among others."""

    def __init__(self, seed: int) -> None:
        digest = hashlib.sha256(f"underten-run-{seed}".encode()).digest()
        self.run = digest[:4].hex()
        self._head = int.from_bytes(digest[:4], "big") << 96
        self._bits = Random(int.from_bytes(digest, "big")).getrandbits

    def new(self) -> str:
        """The next one."""
        return str(UUID(int=self._head | self._bits(96), version=4))


class Suspects:
    """Makes instances; each has accounts that no other one has."""

    def __init__(self, seed: int, ids: Ids) -> None:
        self._rng = Random(f"suspects-{seed}")
        self._ids = ids
        self._next_account = FIRST_SUSPECT + self._rng.randrange(2**29)
        self._round: list[Callable[[], Instance]] = []

    def next(self) -> Instance:
        """One more instance: of each typology one, in an order that changes from round to round."""
        if not self._round:
            self._round = [
                self.structuring,
                self.across_midnight,
                self.fan_out,
                self.fan_in,
                self.just_below,
                self.burst,
            ]
            self._rng.shuffle(self._round)
        return self._round.pop()()

    def structuring(self) -> Instance:
        """One payor, one payee, two to four payments on one day, together above the line."""
        payor, payee = self._account(), self._payee()
        parts = self._split(self._rng.choice((2, 2, 3, 4)))
        after = self._gaps(len(parts), 90 * MINUTE_MS)
        return self._instance(
            "structuring", _pair(payor, payee), [(payor, payee, part) for part in parts], after, (STRUCTURING, ROLLING)
        )

    def across_midnight(self) -> Instance:
        """The same, but in the last hour of one day and the first of the next: no single day holds it all.

        Sent as it comes it is such a pair only if midnight happens to fall within it.
        """
        payor, payee = self._account(), self._payee()
        parts = self._split(2)
        return self._instance(
            "across_midnight",
            _pair(payor, payee),
            [(payor, payee, part) for part in parts],
            (0, self._rng.randrange(HOUR_MS, 90 * MINUTE_MS)),
            (STRUCTURING, ROLLING),
            starts_at=DAY_MS - self._rng.randrange(1, HOUR_MS),
        )

    def fan_out(self) -> Instance:
        """One payor, five to eight payees, each with $3,000 or more: money is spread."""
        payor = self._account()
        count = self._rng.randint(5, 8)
        sent = [(payor, self._payee(), self._rng.randrange(3_000_00, 9_000_00)) for _ in range(count)]
        return self._instance(
            "fan_out", {"payor_account_no": payor}, sent, self._gaps(count, 60 * MINUTE_MS), (FAN_OUT,)
        )

    def fan_in(self) -> Instance:
        """Five to eight payors, one payee: smurfs bring money together."""
        bank, account = payee = self._payee()
        count = self._rng.randint(5, 8)
        sent = [(self._account(), payee, self._rng.randrange(3_000_00, 9_000_00)) for _ in range(count)]
        group: dict[str, int | str] = {"payee_bank": bank, "payee_account_no": account}
        return self._instance("fan_in", group, sent, self._gaps(count, 60 * MINUTE_MS), (FAN_IN,))

    def just_below(self) -> Instance:
        """One payor, three or four payments just below the line, each to somebody else."""
        payor = self._account()
        count = self._rng.randint(3, 4)
        sent = [(payor, self._payee(), self._rng.randrange(9_000_00, LINE_CENTS)) for _ in range(count)]
        return self._instance(
            "just_below", {"payor_account_no": payor}, sent, self._gaps(count, 120 * MINUTE_MS), (JUST_BELOW,)
        )

    def burst(self) -> Instance:
        """One payor, many small payments within minutes."""
        payor = self._account()
        sent = [(payor, self._payee(), self._rng.randrange(5_00, 200_00)) for _ in range(BURST)]
        return self._instance(
            "burst", {"payor_account_no": payor}, sent, self._gaps(BURST, 15 * SECOND_MS), (VELOCITY,)
        )

    def _instance(
        self,
        typology: str,
        group: dict[str, int | str],
        sent: Iterable[tuple[int, tuple[str, int], int]],
        after_ms: tuple[int, ...],
        lines: tuple[Line, ...],
        starts_at: int | None = None,
    ) -> Instance:
        """`sent`: payor, payee and cents of each payment."""
        payments = tuple(
            Payment(self._ids.new(), *payee, amount / 100, self._rng.choice(METHODS), payor)
            for payor, payee, amount in sent
        )
        if starts_at is None:
            starts_at = self._rng.randrange(7 * HOUR_MS, 14 * HOUR_MS)
        return Instance(typology, self._ids.run, group, payments, after_ms, starts_at, lines)

    def _account(self) -> int:
        self._next_account += 1
        return self._next_account

    def _payee(self) -> tuple[str, int]:
        return self._rng.choice(BANKS), self._account()

    def _split(self, count: int) -> list[int]:
        """Cents of the parts of a sum above the line: each is below it, and so is what is left without any of them."""
        if count == 2 and self._rng.random() < 0.5:
            return [self._rng.randrange(9_000_00, LINE_CENTS) for _ in range(count)]
        share = self._rng.randrange(10_050_00, 12_000_00) // count
        spread = share // 20
        parts = [share + self._rng.randint(-spread, spread) for _ in range(count - 1)]
        return [*parts, share * count - sum(parts)]

    def _gaps(self, count: int, longest_ms: int) -> tuple[int, ...]:
        """Times of payments, in ms after the first: one after the other, with pauses of up to `longest_ms`."""
        times = [0]
        for _ in range(count - 1):
            times.append(times[-1] + self._rng.randint(1, longest_ms))
        return tuple(times)


def _pair(payor: int, payee: tuple[str, int]) -> dict[str, int | str]:
    return {"payor_account_no": payor, "payee_bank": payee[0], "payee_account_no": payee[1]}


class Ordinary:
    """The ordinary mix: purchases, whose amounts are log-normal, wages and rents."""

    def __init__(self, seed: int, ids: Ids) -> None:
        self._rng = Random(f"ordinary-{seed}")
        self._ids = ids

    def next(self) -> Payment:
        """One payment between parties of the mix."""
        kind = self._rng.random()
        if kind < 0.88:
            return self._purchase()
        return self._wage() if kind < 0.95 else self._rent()

    def _purchase(self) -> Payment:
        # Half of them are below $60; one in two thousand is above $10,000, as cars and machines are.
        dollars = self._rng.lognormvariate(4.1, 1.55)
        shop = self._rng.randrange(SHOPS)
        return self._payment(min(max(dollars, 1.0), 250_000.0), FIRST_SHOP + shop, self._rng.randrange(PAYORS))

    def _wage(self) -> Payment:
        # Two weeks' net pay. A firm of the mix is small: ten of its wages within ten minutes would look like a burst.
        dollars = min(max(self._rng.lognormvariate(7.4, 0.3), 600.0), 6_000.0)
        return self._payment(dollars, self._rng.randrange(PAYORS), FIRST_EMPLOYER + self._rng.randrange(EMPLOYERS))

    def _rent(self) -> Payment:
        # Below $3,000: five tenants of one house who pay more look like smurfs, and a rule cannot tell.
        dollars = min(max(self._rng.lognormvariate(7.2, 0.3), 500.0), 2_950.0)
        landlord = self._rng.randrange(LANDLORDS)
        return self._payment(round(dollars / 5) * 5.0, FIRST_LANDLORD + landlord, self._rng.randrange(PAYORS))

    def _payment(self, dollars: float, payee: int, payor: int) -> Payment:
        # An account is at one bank.
        bank = BANKS[payee % len(BANKS)]
        return Payment(self._ids.new(), bank, payee, round(dollars, 2), self._rng.choice(METHODS), payor)


@dataclass(frozen=True, eq=False)
class Sent:
    """A payment of the traffic; `instance` is None for an ordinary one."""

    payment: Payment
    instance: Instance | None = None
    place: int = 0


class Traffic:
    """An endless stream: the ordinary mix, and patterns woven into it.

    `share` is how much of the stream belongs to patterns, 0 to 1. `pause` is the longest pause between two payments of
    a pattern, counted in payments of the stream.
    """

    def __init__(self, seed: int, share: float = 0.03, pause: int = 500) -> None:
        self._ids = Ids(seed)
        self._suspects = Suspects(seed, self._ids)
        self._ordinary = Ordinary(seed, self._ids)
        self._rng = Random(f"traffic-{seed}")
        self._share = share
        self._pause = pause
        self._position = 0
        self._planned = 0
        self._waiting: list[tuple[int, int, Sent]] = []

    def take(self, count: int) -> list[Sent]:
        """The next payments."""
        return [self._next() for _ in range(count)]

    def _next(self) -> Sent:
        self._position += 1
        if self._planned < self._share * self._position:
            self._begin(self._suspects.next())
        if self._waiting and self._waiting[0][0] <= self._position:
            return heapq.heappop(self._waiting)[2]
        return Sent(self._ordinary.next())

    def _begin(self, instance: Instance) -> None:
        at = self._position
        for place, payment in enumerate(instance.payments):
            self._planned += 1
            heapq.heappush(self._waiting, (at, self._planned, Sent(payment, instance, place)))
            at += self._rng.randint(1, self._pause)


@dataclass(frozen=True)
class Dated:
    """A payment of the past; `timestamp` is ms since the epoch."""

    timestamp: int
    payment: Payment


def history(
    seed: int, payments: int, days: int, first_day_ms: int, share: float = 0.03
) -> tuple[list[Dated], list[dict[str, Any]]]:
    """That many payments over some days, in order of time, and the truth of the patterns among them.

    `first_day_ms` is a midnight UTC. The last pattern is made whole: there may be a few payments more.
    """
    ids = Ids(seed)
    suspects, ordinary, rng = Suspects(seed, ids), Ordinary(seed, ids), Random(f"history-{seed}")
    dated: list[Dated] = []
    truths = []
    while len(dated) < share * payments:
        instance = suspects.next()
        start = first_day_ms + rng.randrange(days) * DAY_MS + instance.starts_at
        made_at = {place: start + after for place, after in enumerate(instance.after_ms)}
        dated += [Dated(made_at[place], payment) for place, payment in enumerate(instance.payments)]
        truths.append(instance.truth(made_at))
    while len(dated) < payments:
        dated.append(Dated(first_day_ms + rng.randrange(days * DAY_MS), ordinary.next()))
    dated.sort(key=lambda each: each.timestamp)
    return dated, truths

"""Innocence that looks like structuring, in the numbers of a bank: pure, and the same for the same seed.

`SHARES` is the whole of it as a table: how much of all payments belongs to which kind. The rest are purchases.
"""

from collections.abc import Mapping
from random import Random

from local_time import DAY_MS, HOUR_MS, MINUTE_MS, is_weekend, utc_ms, zone
from parties import (
    BANKS,
    FIRST_CUSTOMER,
    FIRST_SHOP,
    METHODS,
    PAYORS,
    SHOPS,
    Accounts,
    Ids,
    Payee,
    respelled,
)
from typologies import Pattern, pattern

from schemas.payment import Payment

SHARES: Mapping[str, float] = {
    "payroll": 0.100,  # one account to five to four hundred, every other Friday
    "utility": 0.080,  # thousands pay one account
    "rents": 0.050,  # a landlord's tenants, on the first days of a month; some in two parts, some as a household
    "instalments": 0.040,  # the same sum to the same account every week or other week
    "treasurer": 0.020,  # a firm's invoices, every business day
    "takings": 0.004,  # a restaurant's deposits, daily, many just below the line
    "tuition": 0.002,  # forty families, one school, the same days
    "renovation": 0.0015,  # a contractor is paid as the work goes on
    "own savings": 0.001,  # moved to one's own account elsewhere, as much a day as the bank lets one
    "car": 0.0006,  # bought with three wires
}

Transfers = list[tuple[int, int, Payee, int]]
"""Payments as `typologies.pattern` takes them."""


class Lookalikes:
    """Draws innocent patterns on some days, counted from 1 January 1970: of each kind, all that one customer pays."""

    def __init__(self, seed: int | str, ids: Ids, days: range) -> None:
        self._rng = Random(f"lookalikes-{seed}")
        self._ids = ids
        self._days = days
        self._accounts = Accounts(FIRST_CUSTOMER, self._rng)
        self._kinds = {
            "payroll": self._payroll,
            "utility": self._utility,
            "rents": self._rents,
            "instalments": self._instalments,
            "treasurer": self._treasurer,
            "takings": self._takings,
            "tuition": self._tuition,
            "renovation": self._renovation,
            "own savings": self._own_savings,
            "car": self._car,
        }

    def draw(self, kind: str, most: int) -> Pattern:
        """A pattern of a kind; at most so many payments of it, the first ones."""
        transfers = sorted(self._kinds[kind]())[: max(most, 1)]
        if self._rng.random() < 0.2:
            transfers = [
                (at_ms, payor, Payee(respelled(payee.bank, self._rng), payee.account_no), cents)
                for at_ms, payor, payee, cents in transfers
            ]
        return pattern(kind, False, self._ids, self._rng, transfers)  # noqa: FBT003

    def _on(self, *, every: int = 1, count: int | None = None) -> list[int]:
        """Business days from some day on, every so many days; all there are, or `count` of them at most."""
        first = self._rng.choice(self._days[: max(1, min(every, len(self._days)))] if count is None else self._days)
        days = [day if not is_weekend(day) else day + 2 for day in range(first, self._days.stop, every)]
        return [day for day in dict.fromkeys(days) if day < self._days.stop][:count] or [first]

    def _payroll(self) -> Transfers:
        firm, hours_ahead = self._accounts.new(), zone(self._rng)
        size = min(max(5, int(self._rng.lognormvariate(3.2, 1.0))), 400)
        staff = [(self._accounts.payee(), self._cents(7.5, 0.4, 600, 9_000)) for _ in range(size)]
        transfers: Transfers = []
        for day in self._on(every=14):
            start = utc_ms(day, self._rng.choice((6, 9, 16)), hours_ahead)
            transfers += [(start + self._rng.randrange(20 * MINUTE_MS), firm, payee, net) for payee, net in staff]
        return transfers

    def _utility(self) -> Transfers:
        utility = self._accounts.payee()
        bills = (self._cents(4.8, 0.8, 20, 5_000) for _ in range(self._rng.randint(500, 4_000)))
        return [(self._any_time(8, 23), self._accounts.new(), utility, bill) for bill in bills]

    def _rents(self) -> Transfers:
        landlord, hours_ahead = self._accounts.payee(), zone(self._rng)
        transfers: Transfers = []
        [first] = self._on(count=1)
        for _ in range(min(max(1, int(self._rng.lognormvariate(1.8, 1.0))), 120)):
            rent = self._cents(7.35, 0.4, 600, 7_000, step=5)
            shares = self._rng.choices(([1.0], [0.5, 0.5], [0.4, 0.3, 0.3]), (80, 14, 6))[0]
            household = [self._accounts.new() for _ in shares]
            for share, flatmate in zip(shares, household, strict=True):
                day = min(first + self._rng.randrange(5), self._days.stop - 1)
                payor = household[0] if self._rng.random() < 0.5 else flatmate
                transfers.append(
                    (utc_ms(day, self._rng.uniform(7, 23), hours_ahead), payor, landlord, int(rent * share))
                )
        return transfers

    def _instalments(self) -> Transfers:
        payor, payee, hours_ahead = self._accounts.new(), self._accounts.payee(), zone(self._rng)
        rate = self._cents(6.0, 0.8, 50, 4_000)
        days = self._on(every=self._rng.choice((7, 14)))
        return [(utc_ms(day, self._rng.uniform(6, 10), hours_ahead), payor, payee, rate) for day in days]

    def _treasurer(self) -> Transfers:
        firm, hours_ahead = self._accounts.new(), zone(self._rng)
        suppliers = [self._accounts.payee() for _ in range(self._rng.randint(10, 40))]
        return [
            (
                utc_ms(day, self._rng.uniform(8, 18), hours_ahead),
                firm,
                self._rng.choice(suppliers),
                self._cents(7.2, 1.3, 50, 400_000),
            )
            for day in self._on()
            for _ in range(self._rng.randint(1, 8))
        ]

    def _takings(self) -> Transfers:
        restaurant, account, hours_ahead = self._accounts.new(), self._accounts.payee(), zone(self._rng)
        usual = self._rng.uniform(1_000_00, 10_500_00)
        return [
            (
                utc_ms(day, self._rng.uniform(9, 23), hours_ahead),
                restaurant,
                account,
                int(min(max(self._rng.gauss(usual, usual / 6), 500_00), 10_800_00)),
            )
            for day in self._on()
        ]

    def _tuition(self) -> Transfers:
        school, hours_ahead = self._accounts.payee(), zone(self._rng)
        fee = self._rng.randrange(30, 120) * 100_00
        [first] = self._on(count=1)
        return [
            (
                utc_ms(min(first + self._rng.randrange(4), self._days.stop - 1), self._rng.uniform(8, 23), hours_ahead),
                self._accounts.new(),
                school,
                self._rng.choice((fee, fee, fee // 2)),
            )
            for _ in range(self._rng.randint(20, 60))
        ]

    def _renovation(self) -> Transfers:
        payor, contractor, hours_ahead = self._accounts.new(), self._accounts.payee(), zone(self._rng)
        days = self._on(every=self._rng.randint(3, 10), count=self._rng.randint(2, 5))
        return [
            (
                utc_ms(day, self._rng.uniform(8, 21), hours_ahead),
                payor,
                contractor,
                self._cents(8.3, 0.6, 500, 25_000, 50),
            )
            for day in days
        ]

    def _own_savings(self) -> Transfers:
        payor, account, hours_ahead = self._accounts.new(), self._accounts.payee(), zone(self._rng)
        limit = self._rng.choice((2_000_00, 2_500_00, 3_500_00, 5_000_00, 10_000_00))
        days = self._on(count=self._rng.randint(2, 5))
        return [(utc_ms(day, self._rng.uniform(7, 23), hours_ahead), payor, account, limit) for day in days]

    def _car(self) -> Transfers:
        payor, dealer, hours_ahead = self._accounts.new(), self._accounts.payee(), zone(self._rng)
        price = self._rng.randrange(15_000_00, 32_000_00)
        [day] = self._on(count=1)
        limit = self._rng.choice((5_000_00, 10_000_00, price))
        wires = [limit] * (price // limit) + ([price % limit] if price % limit else [])
        start = utc_ms(day, self._rng.uniform(9, 15), hours_ahead)
        return [
            (start + number * self._rng.randrange(2 * HOUR_MS), payor, dealer, wire)
            for number, wire in enumerate(wires)
        ]

    def _any_time(self, first: int, last: int) -> int:
        """A moment between two local hours of some day."""
        return utc_ms(self._rng.choice(self._days), self._rng.uniform(first, last), zone(self._rng))

    def _cents(self, mu: float, sigma: float, least: int, most: int, step: int = 0) -> int:
        """Cents of a log-normal amount of dollars within bounds; `step`: a multiple of so many dollars."""
        dollars = min(max(self._rng.lognormvariate(mu, sigma), least), most)
        return round(dollars / step) * step * 100 if step else round(dollars * 100)


class Purchases:
    """Purchases, which most payments are: log-normal, half of them below $60, one in two thousand above $10,000."""

    def __init__(self, seed: int | str, ids: Ids) -> None:
        self._rng = Random(f"purchases-{seed}")
        self._ids = ids

    def next(self) -> Payment:
        """Another purchase."""
        rng = self._rng
        dollars = min(max(rng.lognormvariate(4.1, 1.55), 1.0), 250_000.0)
        shop = FIRST_SHOP + int(SHOPS * rng.random() ** 2)
        bank = BANKS[shop % len(BANKS)]
        payor = rng.randrange(PAYORS)
        return Payment(self._ids.new(), bank, shop, round(dollars, 2), rng.choice(METHODS), payor)


def purchase_time(rng: Random, days: range) -> int:
    """A moment of some days, UTC, in ms since the epoch."""
    return days.start * DAY_MS + rng.randrange(len(days) * DAY_MS)

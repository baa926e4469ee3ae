"""Payments as a bank sees them, and among them patterns whose truth is known: pure, and the same for the same seed.

traffic = LoadTraffic(seed=7)
for sent in traffic.take(1000):
    sent.payment                               # to be sent
    if sent.pattern is not None: ...           # one of a pattern's, at place `sent.place` in it
truth = pattern.truth({place: timestamp, ...}) # once it is known when its payments were made
"""

import heapq
from dataclasses import dataclass, replace
from random import Random

from local_time import DAY_MS
from lookalikes import SHARES, Lookalikes, Purchases
from parties import Ids
from typologies import Crimes, Pattern

from schemas.payment import Payment

DAYS = range(20_000, 20_028)
"""Four weeks on which patterns are drawn; when a payment of the stream is made, the service says."""
LOOKALIKE_PAUSE = 20
"""Longest pause between two payments of an innocent pattern, counted in payments of the stream."""
MAX_LOOKALIKE = 1_000
"""Payments of an innocent pattern, at most."""
REPEATED = 0.003
"""Share of payments that are sent again, with the same id, by a client that has given up waiting for the answer."""


@dataclass(frozen=True, eq=False)
class Sent:
    """A payment of the traffic; `pattern` is None for one that belongs to none or is sent `again`, with the same id."""

    payment: Payment
    pattern: Pattern | None = None
    place: int = 0
    again: bool = False


class LoadTraffic:
    """An endless stream: purchases, and patterns woven into it.

    `share` is how much of the stream belongs to crimes, 0 to 1. `pause` is the longest pause between two payments of a
    crime, counted in payments of the stream: what takes weeks is pressed into moments. Of innocent patterns comes one
    day's part: pressed together, weeks of daily takings would be no innocence.
    """

    def __init__(self, seed: int | str, share: float = 0.03, pause: int = 500) -> None:
        self.ids = Ids(seed)
        self._crimes = Crimes(seed, self.ids, DAYS)
        self._lookalikes = Lookalikes(seed, self.ids, DAYS)
        self._purchases = Purchases(seed, self.ids)
        self._rng = Random(f"traffic-{seed}")
        self._shares = {kind: share_of * (1 - share) for kind, share_of in SHARES.items()}
        self._share = share
        self._pause = pause
        self._position = 0
        self._planned: dict[str, int] = {}
        self._order = 0
        self._delayed: list[tuple[int, int, Sent]] = []

    def take(self, count: int) -> list[Sent]:
        """The next payments."""
        return [self._next() for _ in range(count)]

    def _next(self) -> Sent:
        self._position += 1
        if self._planned.get("crime", 0) < self._share * self._position:
            crime = self._crimes.next()
            self._begin("crime", crime, self._pause)
        for kind, share in self._shares.items():
            if self._planned.get(kind, 0) < share * self._position:
                self._begin(kind, _first_day(self._lookalikes.draw(kind, MAX_LOOKALIKE)), LOOKALIKE_PAUSE)
        if self._delayed and self._delayed[0][0] <= self._position:
            sent = heapq.heappop(self._delayed)[2]
        else:
            sent = Sent(self._purchases.next())
        if self._rng.random() < REPEATED:
            self._wait(
                self._position + self._rng.randint(4 * self._pause, 8 * self._pause), Sent(sent.payment, again=True)
            )
        return sent

    def _begin(self, kind: str, pattern: Pattern, pause: int) -> None:
        at = self._position
        self._planned[kind] = self._planned.get(kind, 0) + len(pattern.payments)
        for place, payment in enumerate(pattern.payments):
            self._wait(at, Sent(payment, pattern, place))
            at += self._rng.randint(1, pause)

    def _wait(self, position: int, sent: Sent) -> None:
        self._order += 1
        heapq.heappush(self._delayed, (position, self._order, sent))


def _first_day(pattern: Pattern) -> Pattern:
    """The payments of a pattern that are made within a day of the first."""
    until = pattern.made_at[0] + DAY_MS
    count = sum(at_ms < until for at_ms in pattern.made_at)
    return replace(pattern, payments=pattern.payments[:count], made_at=pattern.made_at[:count])

"""How many payments a second a client may send: the generic cell rate algorithm (ITU-T I.371), a number for each."""

import math
import time
from collections.abc import Callable

from aiohttp import web

from service.http.problems import Problem

BURST_SECONDS = 1.0
MOST_CLIENTS = 10_000


class Rates:
    """What each client has used of its rate."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`rate` in payments a second; as many as a second brings, or one, may come at once."""
        self._rate = rate
        self._clock = clock
        self._burst = max(BURST_SECONDS, 1 / rate)
        self._used_until: dict[str, float] = {}
        """When what a client has sent would have been sent at its rate."""

    def take(self, client: str, payments: int = 1) -> None:
        """Count payments; raises Problem, 429, if they are too many: then none counts."""
        now = self._clock()
        until = max(now, self._used_until.get(client, 0.0)) + payments / self._rate
        if until - now > self._burst * (1 + 1e-9):
            raise self._too_many(payments, until - now - self._burst)
        if len(self._used_until) >= MOST_CLIENTS:
            self._used_until = {each: used for each, used in self._used_until.items() if used > now}
        self._used_until[client] = until

    def _too_many(self, payments: int, wait: float) -> Problem:
        most = math.floor(self._burst * self._rate * (1 + 1e-9))
        detail = f"more than {self._rate:g} payments a second; nothing was accepted"
        if payments > most:
            detail += f", and of {payments} at once nothing will be: send {most} at most"
        return Problem(429, "rate-limited", detail, headers={"Retry-After": str(max(1, math.ceil(wait)))})


RATES = web.AppKey("rates", Rates)

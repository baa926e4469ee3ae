"""Limit on the payments a second of each client: the generic cell rate algorithm (ITU-T I.371)."""

import math
import time
from collections.abc import Callable

from aiohttp import web

from service.http.problems import Problem

BURST_SECONDS = 1.0
MAX_CLIENTS = 10_000


class RateLimiter:
    """The share of its rate that each client has used."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Allow `rate` payments a second; as many as a second brings, or one, may come at once."""
        self._rate = rate
        self._clock = clock
        self._burst = max(BURST_SECONDS, 1 / rate)
        self._used_until: dict[str, float] = {}
        """Time, by client, at which all that it has sent would have been sent at its rate."""

    def take(self, client: str, payments: int = 1) -> None:
        """Count payments; raises Problem, 429, if they are too many: then none counts."""
        now = self._clock()
        until = max(now, self._used_until.get(client, 0.0)) + payments / self._rate
        if until - now > self._burst * (1 + 1e-9):
            raise self._too_many(payments, until - now - self._burst)
        if len(self._used_until) >= MAX_CLIENTS:
            self._used_until = {name: used for name, used in self._used_until.items() if used > now}
        self._used_until[client] = until

    def _too_many(self, payments: int, wait: float) -> Problem:
        max_payments = math.floor(self._burst * self._rate * (1 + 1e-9))
        detail = f"more than {self._rate:g} payments a second; nothing was accepted"
        if payments > max_payments:
            detail += f", and of {payments} at once nothing will be: send {max_payments} at most"
        return Problem(429, "rate-limited", detail, headers={"Retry-After": str(max(1, math.ceil(wait)))})


RATE_LIMITER = web.AppKey("rate_limiter", RateLimiter)

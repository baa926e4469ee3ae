"""The rate of each client."""

import pytest

from service.http.problems import Problem
from service.payments.rate_limit import RateLimiter


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def refused(rates: RateLimiter, client: str, payments: int = 1) -> int:
    """Retry-After of the refusal."""
    with pytest.raises(Problem) as caught:
        rates.take(client, payments)
    assert caught.value.status == 429
    return int(caught.value.headers["Retry-After"])


def test_a_seconds_worth_may_come_at_once_and_then_the_rate() -> None:
    clock = Clock()
    rates = RateLimiter(10, clock)
    for _ in range(10):
        rates.take("ann")
    assert refused(rates, "ann") == 1
    clock.now += 0.1
    rates.take("ann")
    refused(rates, "ann")
    clock.now += 60
    rates.take("ann", 10)
    refused(rates, "ann")


def test_each_client_has_its_own() -> None:
    rates = RateLimiter(1, Clock())
    rates.take("ann")
    rates.take("bob")
    refused(rates, "ann")


def test_a_batch_is_taken_as_a_whole_or_not_at_all() -> None:
    clock = Clock()
    rates = RateLimiter(100, clock)
    rates.take("ann", 60)
    assert refused(rates, "ann", 60) == 1
    rates.take("ann", 40)
    clock.now += 2
    with pytest.raises(Problem, match="send 100 at most"):
        rates.take("ann", 101)
    rates.take("ann", 100)


def test_less_than_one_a_second_is_a_rate_as_well() -> None:
    clock = Clock()
    rates = RateLimiter(0.1, clock)
    rates.take("ann")
    assert refused(rates, "ann") == 10
    clock.now += 10
    rates.take("ann")


def test_clients_that_are_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.payments.rate_limit.MAX_CLIENTS", 10)
    clock = Clock()
    rates = RateLimiter(1, clock)
    for number in range(100):
        rates.take(str(number))
        clock.now += 0.5
    assert len(rates._used_until) <= 10

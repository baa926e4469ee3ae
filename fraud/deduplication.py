"""Payments that come again: an id counts once.

Of all rules whose groups lie within one account, a payor's or a payee's, one payment counts once, however often it is
sent: for as long as a window that holds the first one is open, another with its id counts in none. It moves stream
time as any payment does. It is the first one that counts, whatever the others say.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fraud.rules import Emit, Rule
from fraud.windows import Counted, Group, Outcome, RuleWindows


class Repeated(NamedTuple):
    """A payment whose id was counted already."""

    first: bytes
    """The packed payment that was counted."""
    windows: list[tuple[RuleWindows, int, Group]]
    """The open windows that would have counted it a second time: rule, start, group."""


def find_repetition(first: bytes, counting: Sequence[RuleWindows], payment: Counted, at_ms: int) -> Repeated:
    """Find the windows in which a payment would count again; `counting` are the rules whose filter it passes."""
    return Repeated(
        first,
        [
            (windows, start, windows.group_of(payment))
            for windows in counting
            for start in windows.starts(at_ms)
            if windows.window_end(start) > windows.closed_until
        ],
    )


class _First(NamedTuple):
    amount: float
    at_ms: int
    packed: bytes


class TaskWindows:
    """Some rules in one task, whose groups lie within one account each. Every id counts once."""

    def __init__(self, rules: Sequence[Rule], emit: Emit = "changes") -> None:
        self.rules = [RuleWindows(rule, emit) for rule in rules]
        self._firsts: dict[tuple[object, str], _First] = {}
        self._swept = 0

    def add(
        self, account: object, payment_id: str, payment: Counted, at_ms: int, packed: bytes
    ) -> Repeated | list[tuple[RuleWindows, Sequence[Outcome]]]:
        """Outcomes of an account's payment in the windows of each rule that counts it."""
        counting = [windows for windows in self.rules if windows.takes(payment.payment_amount)]
        for windows in counting:
            windows.advance(at_ms)
        payment_id = payment_id.lower()  # capitals make no other UUID
        first = self._firsts.get((account, payment_id))
        if first is not None and self._counts(first):
            return find_repetition(first.packed, counting, payment, at_ms)
        if any(windows.holds(at_ms) for windows in counting):
            self._firsts[account, payment_id] = _First(payment.payment_amount, at_ms, packed)
            self._sweep()
        return [(windows, windows.add(payment, at_ms, packed)) for windows in counting]

    def _counts(self, first: _First) -> bool:
        """True if a window that holds it is open."""
        return any(windows.takes(first.amount) and windows.holds(first.at_ms) for windows in self.rules)

    def _sweep(self) -> None:
        """Forget ids that count no more, each time that there are twice as many as were left the last time."""
        if len(self._firsts) > 2 * self._swept + 1000:
            self._firsts = {key: first for key, first in self._firsts.items() if self._counts(first)}
            self._swept = len(self._firsts)

    def __iter__(self) -> Iterator[RuleWindows]:
        """The rules' windows."""
        return iter(self.rules)

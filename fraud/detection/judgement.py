"""Judgement: the windows that a payment makes fire, or has come too late for, by what an account has paid so far.

Where the payments near it are few, its windows are made from them and forgotten again. Where they are many, the windows
of its group run from then on (see `Watch.running`), and each further payment goes into them.
"""

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

from fraud.detection.packed import PackedPayment, encode
from fraud.detection.partition_keys import AccountKey
from fraud.detection.shelves import Parts, Payee, Volume, bounds_of, bounds_of_payee, payee_of, payments_of
from fraud.detection.watches import Watch
from fraud.windows import Group, Outcome, RuleWindows, Window
from schemas.payment import Payment

RUNNING_PAYMENTS = 16
"""Where more than these had to be looked at for one payment, they are not for the next: the group's windows run."""

PlacedWindow = tuple[RuleWindows, int, Group, Window]
"""A window by its rule, start and group."""
Judgement = tuple[RuleWindows, int, Group, Window | None]
"""A window by its rule, start and group, that fires, or (None) that a payment came too late for."""


def late(windows: RuleWindows, payment: Payment, at_ms: int) -> list[Judgement]:
    """The windows that a payment comes too late for."""
    closed_until = windows.closed_until
    if at_ms >= closed_until:
        return []
    group = windows.group_of(payment)
    return [
        (windows, start, group, None)
        for start in windows.starts(at_ms)
        if start >= windows.since and windows.window_end(start) <= closed_until
    ]


class History:
    """An account's payments, to judge the last; each part is unpacked once at most, however many rules look at it."""

    __slots__ = ("_of_group", "_payee", "_payment", "_unpacked", "account", "parts")

    def __init__(self, account: AccountKey, payment: Payment, parts: Parts) -> None:
        self.account = account
        self.parts = parts
        self._payment = payment
        self._payee: Payee | None = None
        self._of_group: dict[tuple[object, ...], list[PackedPayment]] = {}
        self._unpacked: dict[tuple[int, bool], list[PackedPayment]] = {}

    @property
    def payee(self) -> Payee:
        """The last payment's."""
        if self._payee is None:
            self._payee = payee_of(self._payment)
        return self._payee

    def payments(self, places: Sequence[int], *, of_one_payee: bool) -> list[PackedPayment]:
        """Payments of some parts, in order of arrival; with `of_one_payee`, others than the last one's are left out."""
        if len(places) == 1:
            return self._part(places[0], of_one_payee=of_one_payee)
        payments = [payment for place in places for payment in self._part(place, of_one_payee=of_one_payee)]
        payments.sort(key=attrgetter("arrival"))
        return payments

    def of_group(self, watch: Watch, near: Sequence[int], payments: list[PackedPayment]) -> list[PackedPayment]:
        """Payments in these parts that the rule counts in the same windows as the last, if in time."""
        key = *watch.kind, *near
        same = self._of_group.get(key)
        if same is None:
            same = self._of_group[key] = watch.of_group(payments)
        return same

    def _part(self, place: int, *, of_one_payee: bool) -> list[PackedPayment]:
        part = self.parts[place][1]
        alone = of_one_payee and isinstance(part, Volume)
        payments = self._unpacked.get((place, alone))
        if payments is None:
            payments = payments_of(part, self.payee if alone else None)
            self._unpacked[place, alone] = payments
            # A restore, and a rule that lags, may put payments on a shelf behind later ones.
            payments.sort(key=attrgetter("arrival"))
        return payments


def judge(watch: Watch, payment: Payment, at_ms: int, packed: bytes, history: History) -> list[Judgement]:
    """Outcomes of a payment in a rule's windows: those that fire, or had closed. The history has it already."""
    windows = watch.windows
    groups = watch.running.get(history.account)
    if groups:
        group = windows.group_of(payment)
        if group in groups:
            return _judgements(windows, windows.add(payment, at_ms, packed))
        if history.account in watch.running_whole:
            outcomes = windows.add(payment, at_ms, packed)
            if group in windows:
                groups.add(group)
            return _judgements(windows, outcomes)
    near = _within_reach(watch, payment, at_ms, history)
    if not near:
        return late(windows, payment, at_ms)
    payments = history.payments(near, of_one_payee=watch.of_one_payee)
    if len(payments) > RUNNING_PAYMENTS:
        everything = all_payments(history.parts, history.payee if watch.of_one_payee else None)
        group = windows.group_of(payment)
        outcomes = run(watch, history.account, group, everything)
        if watch.of_some_payees:
            _run_others(watch, history.account, group, everything)
        return _judgements(windows, outcomes)
    return [(windows, *outcome) for outcome in windows.derive(history.of_group(watch, near, payments), at_ms)]


def _judgements(windows: RuleWindows, outcomes: Sequence[Outcome]) -> list[Judgement]:
    return [
        (windows, start, group, window) for start, group, window in outcomes if window is None or windows.fires(window)
    ]


def _within_reach(watch: Watch, payment: Payment, at_ms: int, history: History) -> list[int]:
    """The parts with which a window that holds this payment could fire, by their places; none if that cannot be."""
    size_ms = watch.size_ms
    signature = watch.signature(payment) if watch.of_one_payee else None
    count = cents = 0
    near = []
    for place, (shelf, part) in enumerate(history.parts):
        if shelf.last_ms > at_ms - size_ms and shelf.first_ms < at_ms + size_ms:
            if signature is None:
                part_count, part_cents = bounds_of(part)
            elif isinstance(part, bytes):
                part_count, part_cents = bounds_of_payee(part, signature)
            else:
                part_count, part_cents = part.bounds_of(history.payee)
            count += part_count
            cents += part_cents
            near.append(place)
    return near if count >= watch.least_payments and cents > watch.total_above else []


def all_payments(parts: Parts, payee: Payee | None = None) -> list[PackedPayment]:
    """An account's payments in order of arrival; see `payments_of`."""
    payments = [payment for _, part in parts for payment in payments_of(part, payee)]
    payments.sort(key=attrgetter("arrival"))
    return payments


def run(watch: Watch, account: AccountKey, group: Group, payments: Iterable[PackedPayment]) -> Sequence[Outcome]:
    """Make the windows of a group from its account's payments; what became of the last one."""
    windows = watch.windows
    outcomes: Sequence[Outcome] = ()
    for payment in payments:
        if windows.group_of(payment) == group:
            outcomes = windows.add(payment, payment.at_ms, encode(payment))
    if group in windows:
        watch.running.setdefault(account, set()).add(group)
    return outcomes


def _run_others(watch: Watch, account: AccountKey, group: Group, payments: Iterable[PackedPayment]) -> None:
    """Have all other groups of an account run, too: to look at all its payments for each would cost too much."""
    others = _by_group(watch.windows, payments)
    for other in others.keys() - {group, *watch.running.get(account, ())}:
        run(watch, account, other, others[other])
    if account in watch.running:
        watch.running_whole.add(account)


def _by_group(windows: RuleWindows, payments: Iterable[PackedPayment]) -> dict[Group, list[PackedPayment]]:
    """The payments that a rule counts, by its groups."""
    by_group: dict[Group, list[PackedPayment]] = {}
    for payment in payments:
        if windows.takes(payment.payment_amount):
            by_group.setdefault(windows.group_of(payment), []).append(payment)
    return by_group


def judge_account(watch: Watch, account: AccountKey, parts: Parts) -> Iterator[PlacedWindow]:
    """The windows of an account that fire by a rule that is new to it."""
    windows = watch.windows
    for group, payments in _by_group(windows, all_payments(parts)).items():
        if len(payments) >= watch.least_payments and sum(payment.cents for payment in payments) > watch.total_above:
            run(watch, account, group, payments)
            for start, window in windows.of(group).items():
                if windows.fires(window):
                    yield windows, start, group, window

"""The ledger: the payments of each account that an open window holds, and what windows make of one more.

A ledger is the state of one task of one stage: all payments of its accounts (payors, or payees), packed. Windows are
derived from it. That is exact, because stream time only grows: a window that is open now was open when each of its
earlier payments came, so what lies in the ledger within an open window is just what that window has taken.

It is cheap, because amounts are positive: count and sum of the payments that could be in a window bound what the window
has. While they cannot reach a rule's conditions, no window is looked at. Once they could, the windows that hold the
payment are made from the ledger, and forgotten again. Where an account has many payments that would take too long: its
group's windows are *running* from then on, and each further payment of the group goes into them. Running windows are a
cache. They are never written down; after a restore they are made anew by the first payment that needs them. Both ways,
`fraud.windows` says what a window is.

Pure: no I/O, no clock, no Kafka. Times are ms since the epoch.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from fraud.deduplication import Repeated, find_repetition
from fraud.detection.packed import Origin, PackedPayment, encode, pack_as, pack_id, payee_bytes
from fraud.detection.partition_keys import Account, account_of_group
from fraud.detection.shelves import (
    Part,
    Shelf,
    Volume,
    bounds_of,
    bounds_of_payee,
    payments_of,
    payments_with_id,
)
from fraud.rules import DAY_MS, Rule
from fraud.windows import Group, Outcome, RuleWindows, Window, exact_cents
from schemas.payment import Payment

RUNNING_PAYMENTS = 16
"""Where more than these had to be looked at for one payment, they are not for the next: the group's windows run."""

_ENDLESS = 2**63

Judgement = tuple[RuleWindows, int, Group, Window | None]
"""A window by its rule, start and group, that fires, or (None) that a payment came too late for."""


class Watch:
    """A rule as the ledger sees it: its windows as far as they run, and what a group needs at least to fire."""

    def __init__(self, rule: Rule) -> None:
        self.windows = RuleWindows(rule)
        self.running: dict[Account, set[Group]] = {}
        """The groups whose windows run, by the account that they lie within."""
        self.size_ms = rule.size_ms
        self.span_ms = rule.size_ms + rule.grace_ms("changes")
        """Time from a payment to the close of the last window that holds it, at most."""
        self.from_cents = 0 if rule.amount_from is None else exact_cents(rule.amount_from)
        self.below_cents = _ENDLESS if rule.amount_below is None else exact_cents(rule.amount_below)
        self.total_above = -1 if rule.total_above_cents is None else rule.total_above_cents
        self.least_payments = max(rule.min_payments or 1, rule.min_distinct.count if rule.min_distinct else 1)
        if rule.amount_below is not None:
            self.least_payments = max(self.least_payments, self.total_above // (self.below_cents - 1) + 1)
        self.of_one_payee = {"payor_account_no", "payee_account_no"} <= set(rule.group_by)
        """True where its groups are payments to one account number, not all of a payor's."""
        self.kind = rule.group_by, rule.fold_banks, self.from_cents, self.below_cents
        """Rules that are of one kind count the same payments together."""
        self._columns_of = attrgetter(*rule.group_by)
        self._by_bank_as_given = "payee_bank" in rule.group_by and not rule.fold_banks

    def of_group(self, payments: Sequence[PackedPayment]) -> list[PackedPayment]:
        """Those that the rule counts, and in the same group as the last one."""
        last, columns_of, group_of = payments[-1], self._columns_of, self.windows.group_of
        from_cents, below_cents = self.from_cents, self.below_cents
        columns, group = columns_of(last), group_of(last)
        return [
            payment
            for payment in payments
            if from_cents <= payment.cents < below_cents
            and (columns_of(payment) == columns or group_of(payment) == group)
        ]

    def end(self, group: Group) -> None:
        """Have a group's windows run no longer: all have closed."""
        account = account_of_group(dict(zip(self.windows.rule.group_by, group, strict=True)))
        groups = self.running.get(account, set())
        groups.discard(group)
        if not groups:
            self.running.pop(account, None)

    def signature(self, payment: Payment) -> bytes:
        """Bytes that all packed payments of this one's group have, where groups are of one payee."""
        if self._by_bank_as_given:
            return payee_bytes(payment.payee_bank, payment.payee_account_no)
        return encode(payment.payee_account_no)


class AmountFilter(NamedTuple):
    """The rules that count payments of some amount."""

    watches: tuple[Watch, ...]
    mask: int
    """They, as bits in order of the rules."""
    span_ms: int
    """The longest of theirs."""


class Ledger:
    """The payments of one task's accounts, and its rules' stream times."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.watches = [Watch(rule) for rule in rules]
        self.shelves: dict[int, Shelf] = {}
        """By day since the epoch: when it is over, so are all windows that hold a payment of the shelf."""
        self.arrivals = 0
        """The arrival of the next payment."""
        self.latest_ms = -1
        """The largest time of any payment, whether a rule counts it or none."""
        self.added: list[tuple[int, bytes]] = []
        """Payments put on shelves since it was emptied last: shelf, packed."""
        bounds = {bound for rule in rules for bound in (rule.amount_from, rule.amount_below) if bound}
        self._bounds = sorted(map(exact_cents, bounds))
        self._filters = [self._filter(least) for least in (0.0, *sorted(bounds))]

    def _filter(self, amount: float) -> AmountFilter:
        watches = tuple(watch for watch in self.watches if watch.windows.takes(amount))
        mask = sum(1 << number for number, watch in enumerate(self.watches) if watch in watches)
        return AmountFilter(watches, mask, max((watch.span_ms for watch in watches), default=0))

    def filter(self, cents: int) -> AmountFilter:
        """The rules that count a payment of so many cents."""
        return self._filters[bisect_right(self._bounds, cents)]

    def add(self, account: Account, payment: Payment, at_ms: int, origin: Origin) -> Repeated | list[Judgement]:
        """Count one more payment of an account: windows that fire with it, and those that it came too late for.

        Stream times move, whatever else becomes of it.
        """
        cents = exact_cents(payment.payment_amount)
        watches, mask, span_ms = self.filter(cents)
        held = self._advance(watches, at_ms)
        packed_id = pack_id(payment.id)
        parts = self._parts(account)
        if parts and (first := self._first(packed_id, parts)):
            return find_repetition(encode(first), [watch.windows for watch in watches], payment, at_ms)
        if not held:
            return [judgement for watch in watches for judgement in _late(watch.windows, payment, at_ms)]
        packed = pack_as(packed_id, cents, payment, at_ms, self.arrivals, origin)
        self.arrivals += 1
        day = (at_ms + span_ms) // DAY_MS
        self.added.append((day, packed))
        shelf = self.shelf(day, mask, at_ms)
        part = shelf.put(account, payment.payee_account_no, packed_id, cents, at_ms, packed)
        if len(parts) == 1 and parts[0][0] is shelf:
            parts[0] = shelf, part
        else:
            parts = [(other, its) for other, its in parts if other is not shelf]
            parts.append((shelf, part))
        return self._judge(watches, account, payment, at_ms, packed, parts)

    def _advance(self, watches: Sequence[Watch], at_ms: int) -> bool:
        """Move stream times; whether a window that holds the time is open."""
        if at_ms >= self.latest_ms:  # in order, as most are
            self.latest_ms = at_ms
            for watch in watches:
                watch.windows.stream_time = at_ms
            return bool(watches)
        for watch in watches:
            watch.windows.advance(at_ms)
        return any(watch.windows.holds(at_ms) for watch in watches)

    def _judge(
        self,
        watches: Sequence[Watch],
        account: Account,
        payment: Payment,
        at_ms: int,
        packed: bytes,
        parts: list[tuple[Shelf, Part]],
    ) -> list[Judgement]:
        """Outcomes of a payment in the windows of the rules that count it. The parts have it already."""
        count = cents = 0
        for _, part in parts:
            its_count, its_cents = bounds_of(part)
            count += its_count
            cents += its_cents
        history = None
        judgements: list[Judgement] = []
        for watch in watches:
            if (count >= watch.least_payments and cents > watch.total_above) or account in watch.running:
                history = history or History(account, parts)
                judgements += _judge(watch, payment, at_ms, packed, history)
            elif at_ms < self.latest_ms:
                judgements += _late(watch.windows, payment, at_ms)
        return judgements

    def _first(self, packed_id: bytes | str, parts: list[tuple[Shelf, Part]]) -> PackedPayment | None:
        """The payment with this id that still counts, if there is one."""
        for _, part in parts:
            for payment in payments_with_id(part, packed_id):
                if self._counts(payment):
                    return payment
        return None

    def _counts(self, payment: PackedPayment) -> bool:
        """True if a window that holds it is open."""
        watches = self.filter(payment.cents).watches
        return any(watch.windows.holds(payment.at_ms) for watch in watches)

    def shelf(self, day: int, mask: int, at_ms: int) -> Shelf:
        """The shelf of a day, for a payment of that time that these rules count."""
        shelf = self.shelves.get(day)
        if shelf is None:
            shelf = self.shelves[day] = Shelf(at_ms)
        shelf.mask |= mask
        return shelf

    def put(self, day: int, payments: Iterable[tuple[Account, PackedPayment]]) -> None:
        """Have accounts' payments on a shelf that were kept elsewhere; those that no rule counts are left out."""
        shelf = self.shelf(day, 0, day * DAY_MS)
        bounds, filters, put = self._bounds, self._filters, shelf.put
        for account, payment in payments:
            cents, arrival = payment.cents, payment.arrival
            if mask := filters[bisect_right(bounds, cents)].mask:
                shelf.mask |= mask
                packed = encode(payment)
                put(account, payment.payee_account_no, payment.packed_id, cents, payment.at_ms, packed)
            if arrival >= self.arrivals:
                self.arrivals = arrival + 1

    def close(self) -> Iterator[tuple[RuleWindows, int, Group, Window]]:
        """The running windows that stream time has closed; each is removed as it is taken."""
        for watch in self.watches:
            windows = watch.windows
            for start, group, window in windows.close():
                if group not in windows:
                    watch.end(group)
                yield windows, start, group, window

    def expire(self) -> list[int]:
        """Take away the shelves that no rule counts any more, and say which.

        The day of a shelf is over when it is so by the stream time of each rule that counts its payments. A rule that
        finds few payments may lag: a day later, what it counts is put on a later shelf, so that the rest can go.
        """
        now = max((watch.windows.stream_time for watch in self.watches), default=-1)
        expired = []
        for day in sorted(self.shelves):
            over = (day + 1) * DAY_MS
            if over > now:
                break
            lagging = [number for number, watch in enumerate(self.watches) if watch.windows.stream_time < over]
            shelf = self.shelves[day]
            if not any(shelf.mask >> number & 1 for number in lagging):
                del self.shelves[day]
            elif over + DAY_MS <= now:
                del self.shelves[day]
                self._put_later(shelf, now // DAY_MS + 1)
            else:
                continue
            expired.append(day)
        return expired

    def _put_later(self, shelf: Shelf, day: int) -> None:
        """Put what still counts of a shelf on a later one."""
        counting = [(account, payment) for account, payment in shelf if self._counts(payment)]
        self.put(day, counting)
        self.added += [(day, encode(payment)) for _, payment in counting]

    def judge(self, watches: Sequence[Watch]) -> Iterator[tuple[RuleWindows, int, Group, Window]]:
        """The windows of some rules that fire by all that the ledger has of them: for rules that are new to it."""
        accounts = {account for shelf in self.shelves.values() for account in shelf.parts}
        for account in accounts:
            parts = self._parts(account)
            for watch in watches:
                yield from _judge_account(watch, account, parts)

    def window(self, name: str, group: Group, start: int) -> tuple[RuleWindows, Window] | None:
        """A window by its rule's name, if it is there and fires."""
        for watch in self.watches:
            windows, columns = watch.windows, watch.windows.rule.group_by
            if windows.rule.name == name and len(group) == len(columns):
                account = account_of_group(dict(zip(columns, group, strict=True)))
                if group not in watch.running.get(account, ()):
                    _run(watch, account, group, _all_payments(self._parts(account)))
                window = windows.of(group).get(start)
                if window is not None and windows.fires(window):
                    return windows, window
        return None

    def _parts(self, account: Account) -> list[tuple[Shelf, Part]]:
        return [(shelf, part) for shelf in self.shelves.values() if (part := shelf.parts.get(account)) is not None]

    def __len__(self) -> int:
        """Number of payments."""
        return sum(shelf.count for shelf in self.shelves.values())


def _late(windows: RuleWindows, payment: Payment, at_ms: int) -> list[Judgement]:
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
    """An account's payments; each part is unpacked once at most, however many rules look at it."""

    __slots__ = ("_of_group", "_unpacked", "account", "parts")

    def __init__(self, account: Account, parts: list[tuple[Shelf, Part]]) -> None:
        self.account = account
        self.parts = parts
        self._of_group: dict[tuple[object, ...], list[PackedPayment]] = {}
        self._unpacked: dict[tuple[int, int | None], list[PackedPayment]] = {}

    def payments(self, places: Sequence[int], payee: int | None) -> list[PackedPayment]:
        """Those of some parts, in order of arrival; see `payments_of`."""
        if len(places) == 1:
            return self._part(places[0], payee)
        payments = [payment for place in places for payment in self._part(place, payee)]
        payments.sort(key=attrgetter("arrival"))
        return payments

    def of_group(self, watch: Watch, near: Sequence[int], payments: list[PackedPayment]) -> list[PackedPayment]:
        """Those of the payments in these parts that the rule counts in the same windows as the last, if in time."""
        key = *watch.kind, *near
        same = self._of_group.get(key)
        if same is None:
            same = self._of_group[key] = watch.of_group(payments)
        return same

    def _part(self, place: int, payee: int | None) -> list[PackedPayment]:
        part = self.parts[place][1]
        key = place, payee if isinstance(part, Volume) else None
        payments = self._unpacked.get(key)
        if payments is None:
            payments = self._unpacked[key] = payments_of(part, payee)
            if key[1] is None and isinstance(part, Volume):
                payments.sort(key=attrgetter("arrival"))
        return payments


def _judge(watch: Watch, payment: Payment, at_ms: int, packed: bytes, history: History) -> list[Judgement]:
    """Outcomes of a payment in a rule's windows: those that fire, or had closed. The history has it already."""
    windows = watch.windows
    groups = watch.running.get(history.account)
    if groups and windows.group_of(payment) in groups:
        return _telling(windows, windows.add(payment, at_ms, packed))
    near = _within_reach(watch, payment, at_ms, history.parts)
    if not near:
        return _late(windows, payment, at_ms)
    payee = payment.payee_account_no if watch.of_one_payee else None
    payments = history.payments(near, payee)
    if len(payments) > RUNNING_PAYMENTS:
        everything = _all_payments(history.parts, payee)
        return _telling(windows, _run(watch, history.account, windows.group_of(payment), everything))
    return [(windows, *outcome) for outcome in windows.made_of(history.of_group(watch, near, payments), at_ms)]


def _telling(windows: RuleWindows, outcomes: Sequence[Outcome]) -> list[Judgement]:
    return [
        (windows, start, group, window) for start, group, window in outcomes if window is None or windows.fires(window)
    ]


def _within_reach(watch: Watch, payment: Payment, at_ms: int, parts: list[tuple[Shelf, Part]]) -> list[int]:
    """The parts with which a window that holds this payment could fire, by their places; none if that cannot be."""
    size_ms = watch.size_ms
    signature = watch.signature(payment) if watch.of_one_payee else None
    count = cents = 0
    near = []
    for place, (shelf, part) in enumerate(parts):
        if shelf.last_ms > at_ms - size_ms and shelf.first_ms < at_ms + size_ms:
            its_count, its_cents = (
                bounds_of(part) if signature is None else bounds_of_payee(part, payment.payee_account_no, signature)
            )
            count += its_count
            cents += its_cents
            near.append(place)
    return near if count >= watch.least_payments and cents > watch.total_above else []


def _all_payments(parts: list[tuple[Shelf, Part]], payee: int | None = None) -> list[PackedPayment]:
    """An account's payments in order of arrival; see `payments_of`."""
    payments = [payment for _, part in parts for payment in payments_of(part, payee)]
    payments.sort(key=attrgetter("arrival"))
    return payments


def _run(watch: Watch, account: Account, group: Group, payments: Iterable[PackedPayment]) -> Sequence[Outcome]:
    """Make the windows of a group from its account's payments; what became of the last one."""
    windows = watch.windows
    outcomes: Sequence[Outcome] = ()
    for payment in payments:
        if windows.group_of(payment) == group:
            outcomes = windows.add(payment, payment.at_ms, encode(payment))
    if group in windows:
        watch.running.setdefault(account, set()).add(group)
    return outcomes


def _judge_account(
    watch: Watch, account: Account, parts: list[tuple[Shelf, Part]]
) -> Iterator[tuple[RuleWindows, int, Group, Window]]:
    """The windows of an account that fire by a rule that is new to it."""
    windows = watch.windows
    by_group: dict[Group, list[PackedPayment]] = {}
    for payment in _all_payments(parts):
        if windows.takes(payment.payment_amount):
            by_group.setdefault(windows.group_of(payment), []).append(payment)
    for group, payments in by_group.items():
        if len(payments) >= watch.least_payments and sum(payment.cents for payment in payments) > watch.total_above:
            _run(watch, account, group, payments)
            for start, window in windows.of(group).items():
                if windows.fires(window):
                    yield windows, start, group, window

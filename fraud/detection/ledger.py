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
from typing import NamedTuple

from fraud.deduplication import Repeated, find_repetition
from fraud.detection.judgement import History, Judgement, PlacedWindow, all_payments, judge, judge_account, late, run
from fraud.detection.packed import Origin, PackedPayment, encode, id_key, pack_as, pack_id
from fraud.detection.partition_keys import AccountKey, account_of_group
from fraud.detection.shelves import Parts, Shelf, bounds_of, payments_with_id
from fraud.detection.watches import Watch
from fraud.rules import DAY_MS, Rule
from fraud.windows import Group, RuleWindows, Window
from schemas.payment import Payment, exact_cents


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

    def add(self, account: AccountKey, payment: Payment, at_ms: int, origin: Origin) -> Repeated | list[Judgement]:
        """Count one more payment of an account: windows that fire with it, and those that it came too late for.

        Stream times move, whatever else becomes of it.
        """
        cents = exact_cents(payment.payment_amount)
        watches, mask, span_ms = self.filter(cents)
        is_in_time = self._advance(watches, at_ms)
        packed_id = pack_id(payment.id)
        parts = self._parts(account)
        if parts and (first := self._first(id_key(packed_id), parts)):
            return find_repetition(encode(first), [watch.windows for watch in watches], payment, at_ms)
        if not is_in_time:
            return [judgement for watch in watches for judgement in late(watch.windows, payment, at_ms)]
        packed = pack_as(packed_id, cents, payment, at_ms, self.arrivals, origin)
        self.arrivals += 1
        day = (at_ms + span_ms) // DAY_MS
        self.added.append((day, packed))
        shelf = self.shelf(day, mask, at_ms)
        part = shelf.put(account, payment, packed_id, cents, at_ms, packed)
        if len(parts) == 1 and parts[0][0] is shelf:
            parts[0] = shelf, part
        else:
            parts = [placed for placed in parts if placed[0] is not shelf]
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
        account: AccountKey,
        payment: Payment,
        at_ms: int,
        packed: bytes,
        parts: Parts,
    ) -> list[Judgement]:
        """Outcomes of a payment in the windows of the rules that count it. The parts have it already."""
        count = cents = 0
        for _, part in parts:
            part_count, part_cents = bounds_of(part)
            count += part_count
            cents += part_cents
        history = None
        judgements: list[Judgement] = []
        for watch in watches:
            if (count >= watch.least_payments and cents > watch.total_above) or account in watch.running:
                history = history or History(account, payment, parts)
                judgements += judge(watch, payment, at_ms, packed, history)
            elif at_ms < self.latest_ms:
                judgements += late(watch.windows, payment, at_ms)
        return judgements

    def _first(self, key: bytes | str, parts: Parts) -> PackedPayment | None:
        """The payment with the id of this key that still counts, if there is one."""
        for _, part in parts:
            for payment in payments_with_id(part, key):
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

    def put(self, day: int, payments: Iterable[tuple[AccountKey, PackedPayment]]) -> None:
        """Have accounts' payments on a shelf that were kept elsewhere; those that no rule counts are left out."""
        shelf = self.shelf(day, 0, day * DAY_MS)
        bounds, filters, put = self._bounds, self._filters, shelf.put
        for account, payment in payments:
            cents, arrival = payment.cents, payment.arrival
            if mask := filters[bisect_right(bounds, cents)].mask:
                shelf.mask |= mask
                packed = encode(payment)
                put(account, payment, payment.packed_id, cents, payment.at_ms, packed)
            if arrival >= self.arrivals:
                self.arrivals = arrival + 1

    def close(self) -> Iterator[PlacedWindow]:
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

    def judge(self, watches: Sequence[Watch]) -> Iterator[PlacedWindow]:
        """The windows of some rules that fire by all that the ledger has of them: for rules that are new to it."""
        accounts = {account for shelf in self.shelves.values() for account in shelf.parts}
        for account in accounts:
            parts = self._parts(account)
            for watch in watches:
                yield from judge_account(watch, account, parts)

    def window(self, name: str, group: Group, start: int) -> tuple[RuleWindows, Window] | None:
        """A window by its rule's name, if it is there and fires."""
        for watch in self.watches:
            windows, columns = watch.windows, watch.windows.rule.group_by
            if windows.rule.name == name and len(group) == len(columns):
                account = account_of_group(dict(zip(columns, group, strict=True)))
                if group not in watch.running.get(account, ()):
                    run(watch, account, group, all_payments(self._parts(account)))
                window = windows.of(group).get(start)
                if window is not None and windows.fires(window):
                    return windows, window
        return None

    def _parts(self, account: AccountKey) -> Parts:
        return [(shelf, part) for shelf in self.shelves.values() if (part := shelf.parts.get(account)) is not None]

    def __len__(self) -> int:
        """Number of payments."""
        return sum(shelf.count for shelf in self.shelves.values())

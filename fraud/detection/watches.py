"""Watches: the rules as a ledger sees them."""

from collections.abc import Sequence
from operator import attrgetter

from fraud.detection.packed import PackedPayment, encode, payee_bytes
from fraud.detection.partition_keys import AccountKey, account_of_group
from fraud.rules import COLUMNS, Rule
from fraud.windows import Group, RuleWindows
from schemas.payment import Payment, exact_cents

_ENDLESS = 2**63


class Watch:
    """A rule as the ledger sees it: its windows as far as they run, and what a group needs at least to fire."""

    def __init__(self, rule: Rule) -> None:
        self.windows = RuleWindows(rule)
        self.running: dict[AccountKey, set[Group]] = {}
        """The groups whose windows run, by the account that they lie within."""
        self.running_whole: set[AccountKey] = set()
        """The accounts of which all groups run, whatever payees their next payments are to."""
        self.size_ms = rule.size_ms
        self.span_ms = rule.size_ms + rule.grace_ms("changes")
        """Time from a payment to the close of the last window that holds it, at most."""
        self.from_cents = 0 if rule.amount_from is None else exact_cents(rule.amount_from)
        self.below_cents = _ENDLESS if rule.amount_below is None else exact_cents(rule.amount_below)
        self.total_above = -1 if rule.total_above_cents is None else rule.total_above_cents
        self.least_payments = max(rule.min_payments or 1, rule.min_distinct.count if rule.min_distinct else 1)
        if rule.amount_below is not None:
            self.least_payments = max(self.least_payments, self.total_above // (self.below_cents - 1) + 1)
        self.of_one_payee = set(rule.group_by) == set(COLUMNS)
        """True where its groups are payments to one payee, not all of a payor's."""
        self.of_some_payees = "payor_account_no" in rule.group_by and 1 < len(rule.group_by) < len(COLUMNS)
        """True where its groups are a payor's payments to some payees, which no part of an account has apart."""
        self.kind = rule.group_by, rule.fold_banks, self.from_cents, self.below_cents
        """Rules that are of one kind count the same payments together."""
        self._columns_of = attrgetter(*rule.group_by)
        self._by_bank_as_given = not rule.fold_banks

    def of_group(self, payments: Sequence[PackedPayment]) -> list[PackedPayment]:
        """Payments that the rule counts, and in the same group as the last one."""
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
            self.running_whole.discard(account)

    def signature(self, payment: Payment) -> bytes:
        """Bytes that all packed payments of this one's group have, where groups are of one payee."""
        if self._by_bank_as_given:
            return payee_bytes(payment.payee_bank, payment.payee_account_no)
        return encode(payment.payee_account_no)

"""Keys of the payment topics: payments with the same key are in the same partition."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from fraud.bank_names import fold_bank
from fraud.windows import Counted
from schemas.kafka.topics import PAYMENTS


def payor_key(payor_account_no: int) -> bytes:
    """Key of `payments`: the payor's account number as decimal text."""
    return b"%d" % payor_account_no


def payee_key(payee_bank: str, payee_account_no: int) -> bytes:
    """Key of `payments_by_payee`: the account number at the bank, and the bank, whichever way it is spelled.

    Rules with `fold_banks` need all spellings in one partition; for those without it any key of a payee's will do.
    """
    return f"{payee_account_no}/{fold_bank(payee_bank)}".encode()


AccountKey = int | bytes
"""The key of a stage's ledger: a payor's number, or a payee's key."""


def account_of(topic: str) -> Callable[[Counted], AccountKey]:
    """Filing of payments by the accounts that a topic is keyed by: the payor, or the payee however it is spelled."""
    if topic == PAYMENTS:
        return attrgetter("payor_account_no")
    return lambda payment: payee_key(payment.payee_bank, payment.payee_account_no)


def account_of_group(group: Mapping[str, Any]) -> AccountKey:
    """The account that a rule's group lies within."""
    return group["payor_account_no"] if "payor_account_no" in group else group_key(group)


def group_key(group: Mapping[str, Any]) -> bytes:
    """Key of the payments of a group: they all have the same one."""
    if "payor_account_no" in group:
        return payor_key(group["payor_account_no"])
    return payee_key(group["payee_bank"], group["payee_account_no"])

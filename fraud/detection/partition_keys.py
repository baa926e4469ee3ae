"""Keys of the payment topics: payments with the same key are in the same partition."""

from collections.abc import Mapping
from typing import Any

from fraud.bank_names import fold_bank


def payor_key(payor_account_no: int) -> bytes:
    """Key of `payments`: the payor's account number as decimal text."""
    return b"%d" % payor_account_no


def payee_key(payee_bank: str, payee_account_no: int) -> bytes:
    """Key of `payments_by_payee`: the account number at the bank, and the bank, whichever way it is spelled.

    Rules with `fold_banks` need all spellings in one partition; for those without it any key of a payee's will do.
    """
    return f"{payee_account_no}/{fold_bank(payee_bank)}".encode()


def group_key(group: Mapping[str, Any]) -> bytes:
    """Key of the payments of a group: they all have the same one."""
    if "payor_account_no" in group:
        return payor_key(group["payor_account_no"])
    return payee_key(group["payee_bank"], group["payee_account_no"])

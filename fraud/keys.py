"""Keys of the payment topics, and which partition each belongs to: murmur2, as Kafka's own producers have it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aiokafka.partitioner import murmur2

_REMEMBERED = 2**18


def payor_key(payor_account_no: int) -> bytes:
    """Key of `payments`: the payor's account number as decimal text."""
    return b"%d" % payor_account_no


def payee_key(payee_bank: str, payee_account_no: int) -> bytes:
    """Key of `payments_by_payee`: the account number at the bank, and the bank."""
    return f"{payee_account_no}/{payee_bank}".encode()


def group_key(group: Mapping[str, Any]) -> bytes:
    """Key of the payments of a group: they all have the same one."""
    if "payor_account_no" in group:
        return payor_key(group["payor_account_no"])
    return payee_key(group["payee_bank"], group["payee_account_no"])


@lru_cache(maxsize=_REMEMBERED)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key in a topic with that many. Keys that recur are remembered: hashing is slow in Python."""
    hashed: int = murmur2(key)
    return (hashed & 0x7FFFFFFF) % partitions

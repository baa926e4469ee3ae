"""Parties to made-up payments: ids, accounts, banks and the ways in which people spell them."""

import hashlib
from random import Random
from typing import NamedTuple
from uuid import UUID

BANKS = (
    "First Harbor Bank",
    "Prairie Mutual",
    "Union Savings of Duluth",
    "Second State",
    "Cape Fear Trust",
    "Sierra Community Bank",
)
METHODS = ("ACH", "Wire", "Check", "Cash")

PAYORS = 1_000_000
SHOPS = 400_000
FIRST_SHOP = 2_000_000
FIRST_CUSTOMER = 4_000_000
"""Firms, landlords, tenants: the accounts of look-alikes lie from here on."""
FIRST_SUSPECT = 2**30
"""Accounts of crimes lie from here on: nobody else is among them."""


class Payee(NamedTuple):
    """An account at a bank."""

    bank: str
    account_no: int


class Ids:
    """UUIDs of a run: all begin with the same eight digits, by which its payments are known among others."""

    def __init__(self, seed: int | str) -> None:
        digest = hashlib.sha256(f"underten-run-{seed}".encode()).digest()
        self.run = digest[:4].hex()
        self._head = int.from_bytes(digest[:4], "big") << 96
        self._bits = Random(int.from_bytes(digest, "big")).getrandbits

    def new(self) -> str:
        """The next one."""
        return str(UUID(int=self._head | self._bits(96), version=4))


class Accounts:
    """Account numbers that nobody has had before, from a first one on."""

    def __init__(self, first: int, rng: Random) -> None:
        self._rng = rng
        self._last = first

    def new(self) -> int:
        """The next one."""
        self._last += self._rng.randint(1, 9)
        return self._last

    def payee(self) -> Payee:
        """The next one, at some bank."""
        return Payee(self._rng.choice(BANKS), self.new())


def respelled(bank: str, rng: Random) -> str:
    """A bank's name as somebody else types it: other letters, other blanks, the same bank."""
    spellings = (bank.upper(), bank.lower(), f"{bank} ", f" {bank}", bank.replace(" ", "  "), bank.title(), bank)
    return rng.choice(spellings)

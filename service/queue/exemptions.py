"""Exemptions: accounts of which it is known why they look as they do. Pure.

A payroll account pays many on one day, each Friday. An exemption silences the cases of a payor, a payee or a pair, by
all rules or by some, until a date and up to a sum; it may be made before there is a case. It is a record of
`review_decisions`; a later one with its id ends it. A case above the ceiling is never silent.
"""

from collections.abc import Iterable
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from fraud.bank_names import fold_bank
from schemas.case import DollarText, Group
from schemas.payment import Time, cents_of
from service.queue.decisions import MAX_SNOOZE_MS, InvalidDecision, Name, Text

MAX_RULES = 100


class ExemptionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reviewer's request; `group` names the account or the pair, `rules` is empty for all of them.

    `max_total` (dollars) is the ceiling of a case, `until` the end in ms since the epoch.
    """

    group: Group
    reason: Text
    until: Annotated[int, Meta(ge=0, le=2**53)]
    max_total: DollarText
    rules: Annotated[tuple[Name, ...], Meta(max_length=MAX_RULES)] = ()
    reviewer: Annotated[str, Meta(max_length=100)] = ""


class EndRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reviewer's request to end an exemption."""

    reviewer: Annotated[str, Meta(max_length=100)] = ""
    note: Text | None = None


class Exemption(msgspec.Struct, frozen=True, kw_only=True):
    """A record of `review_decisions`; `time` is when it was made, or ended."""

    exemption_id: str
    group: Group
    rules: tuple[str, ...]
    reason: str
    reviewer: str
    time: Time
    until: Time
    max_total: DollarText
    ended: bool = False
    note: str | None = None

    @property
    def key(self) -> str:
        """The record's key."""
        return self.exemption_id


def check_exemption(request: ExemptionRequest, now: int) -> None:
    """Raise InvalidDecision for a request that names no account, nobody, or an end that is none."""
    group = request.group
    if not request.reviewer.strip():
        raise InvalidDecision("reviewer", "says nobody's name")
    if (group.payee_bank is None) != (group.payee_account_no is None):
        raise InvalidDecision("group", "a payee is payee_bank and payee_account_no together")
    if group == Group():
        raise InvalidDecision("group", "names no account")
    if not now < request.until <= now + MAX_SNOOZE_MS:
        raise InvalidDecision("until", "is not within the next 366 days (milliseconds since 1970-01-01 UTC)")


class Silence(NamedTuple):
    """The end of an exemption (ms since the epoch), its ceiling in cents, and its rules; none for all."""

    until: int
    max_cents: int
    rules: frozenset[str]


class Exemptions:
    """Exemptions that hold now, to be asked by case."""

    def __init__(self, exemptions: Iterable[Exemption]) -> None:
        self._silences: dict[Group, list[Silence]] = {}
        for exemption in exemptions:
            silence = Silence(exemption.until, cents_of(exemption.max_total), frozenset(exemption.rules))
            self._silences.setdefault(_folded(exemption.group), []).append(silence)

    def silenced_until(self, rule: str, group: Group, total_cents: int) -> int | None:
        """Return until when a case with this total is silent (ms since the epoch); None where it is not."""
        if not self._silences:
            return None
        group = _folded(group)
        payee = Group(payee_bank=group.payee_bank, payee_account_no=group.payee_account_no)
        accounts = {group, Group(payor_account_no=group.payor_account_no), payee} - {Group()}
        return max(
            (
                silence.until
                for account in accounts
                for silence in self._silences.get(account, ())
                if total_cents <= silence.max_cents and (not silence.rules or rule in silence.rules)
            ),
            default=None,
        )


def _folded(group: Group) -> Group:
    """A group with its bank's name as rules with `fold_banks` have it: the same account, however it is spelled."""
    return group if group.payee_bank is None else msgspec.structs.replace(group, payee_bank=fold_bank(group.payee_bank))

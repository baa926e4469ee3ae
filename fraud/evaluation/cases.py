"""Cases as they come, version by version, reduced to what is judged."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from fraud.replay import ReplayRow
from schemas.case import case_id

SubjectKey = tuple[int | str, ...]


class JudgedCase(msgspec.Struct):
    """A case: its rule, the account that it is about, its payments in order of arrival, and its versions.

    A version is how many of the payments it listed, and when it was written (ms since the epoch).
    """

    rule: str
    subject: SubjectKey
    payment_ids: tuple[str, ...]
    versions: list["Version"]

    def held_at(self, ids: frozenset[str], least: int) -> int | None:
        """Time (ms since the epoch) at which it first held so many of some payments; None if it never did."""
        held = 0
        for place, payment_id in enumerate(dict.fromkeys(self.payment_ids), 1):
            held += payment_id in ids
            if held >= least:
                return min(version.written_at for version in self.versions if version.payments >= place)
        return None


class Version(NamedTuple):
    """Number of different payments that a version listed, and its time of writing."""

    payments: int
    written_at: int


class Cases:
    """Cases by their ids: the longest list of payments of each, and when it grew."""

    def __init__(self, cases: Mapping[str, JudgedCase] | None = None) -> None:
        self._cases = dict(cases or {})

    def add(
        self, case_id: str, rule: str, group: Mapping[str, int | str], payment_ids: Iterable[str], at_ms: int
    ) -> None:
        """A version of a case, written at `at_ms`; a list of payments only ever grows at its end."""
        payments = tuple(dict.fromkeys(payment_ids))
        case = self._cases.get(case_id)
        if case is None:
            case = self._cases[case_id] = JudgedCase(rule, subject(group), payments, [])
        if len(payments) > len(case.payment_ids):
            case.payment_ids = payments
        case.versions.append(Version(len(payments), at_ms))

    def add_row(self, row: ReplayRow) -> None:
        """A version of a case, as a replay's row says it."""
        name = case_id(row.rule, row.window_start, tuple(row.group.values()))
        self.add(name, row.rule, row.group, row.payment_ids, row.row_timestamp)

    def discard(self, case_id: str) -> None:
        """Forget a case that was taken away."""
        self._cases.pop(case_id, None)

    def __iter__(self) -> Iterator[tuple[str, JudgedCase]]:
        """Every case with its id."""
        return iter(self._cases.items())


def all_cases(parts: Iterable[Cases]) -> Cases:
    """The cases of several rules together."""
    return Cases({case_id: case for part in parts for case_id, case in part})


def subject(group: Mapping[str, int | str]) -> SubjectKey:
    """The account that a case is about: its payor where its group has one, else its payee."""
    if "payor_account_no" in group:
        return ("payor", group["payor_account_no"])
    return ("payee", *group.values())

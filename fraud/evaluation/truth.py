"""The truth about payments: patterns of which it is known whether they are crimes. No rule and no window is in it."""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.errors import DECODE_ERRORS, SettingsError


class PayeeAccount(msgspec.Struct, frozen=True):
    """An account at a bank."""

    bank: str
    account_no: int


class TruePattern(msgspec.Struct, frozen=True, tag_field="kind", tag="pattern"):
    """Payments that belong together: a crime, or innocence that looks like one.

    `completed_at` is when the last one was made, ms since the epoch; None where some of them were never sent.
    """

    typology: Annotated[str, Meta(min_length=1)]
    crime: bool
    payment_ids: Annotated[tuple[str, ...], Meta(min_length=1)]
    completed_at: int | None = None
    payors: tuple[int, ...] = ()
    payees: tuple[PayeeAccount, ...] = ()
    run: str = ""


class LoadRun(msgspec.Struct, frozen=True, tag_field="kind", tag="run"):
    """Payments that were made up together: the ids of all of them, ordinary ones too, begin with `run`."""

    run: str
    payments: int


class Truth(msgspec.Struct, frozen=True):
    """All that is known. Without a run nothing is known of other payments, and every case is judged."""

    patterns: tuple[TruePattern, ...] = ()
    runs: tuple[LoadRun, ...] = ()

    @property
    def is_known(self) -> bool:
        """True where it says which payments are crimes, if only that none of them is."""
        return bool(self.patterns) or any(run.run for run in self.runs)

    @property
    def payments(self) -> int:
        """Number of payments; 0 where nobody has counted them."""
        return sum(run.payments for run in self.runs)

    @property
    def heads(self) -> tuple[str, ...]:
        """Beginnings of the ids of all payments that the truth is about."""
        named = {run.run for run in self.runs} | {pattern.run for pattern in self.patterns}
        return tuple(named or {""})


def decode_truth(lines: Iterable[bytes], file: str) -> Truth:
    """The truth in a file; `file` is what errors call it. Raises SettingsError that names the line."""
    decode = msgspec.json.Decoder(TruePattern | LoadRun).decode
    patterns: list[TruePattern] = []
    runs: list[LoadRun] = []
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            entry = decode(line)
        except DECODE_ERRORS as error:
            raise SettingsError(f"{file}: line {number}: {error}") from None
        if isinstance(entry, LoadRun):
            runs.append(entry)
        else:
            patterns.append(entry)
    return Truth(tuple(patterns), tuple(runs))

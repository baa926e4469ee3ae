"""Tables and short lists that `python -m fraud evaluate` shows a person."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from fraud.commands.screen import screen
from fraud.evaluation.score import PER, Evaluation
from fraud.evaluation.shares import Share
from fraud.evaluation.trial import CrimeDifference, Flagged, Trial

MAX_SHOWN = 10
"""Entries of a list; JSON has all of them."""


def show_evaluation(evaluation: Evaluation) -> None:
    """Scores by typology and by rule, and the first of what was missed and of what was false."""
    console = screen()
    console.print(_typologies(evaluation))
    console.print(_rules(evaluation))
    console.print(total_line(evaluation))
    for missed in evaluation.missed[:MAX_SHOWN]:
        payors = ", ".join(map(str, missed.payors[:3]))
        console.print(
            f"missed: {missed.typology} of {len(missed.payment_ids)} payments by {payors}; "
            f"a case holds {missed.held:.0%} of them at most",
        )
    for case in evaluation.false_cases[:MAX_SHOWN]:
        console.print(f"false: {case.rule} case {case.case_id}, {case.typology}")
    if len(evaluation.missed) > MAX_SHOWN or len(evaluation.false_cases) > MAX_SHOWN:
        console.print("... and more; --format json has them")


def show_trial(trial: Trial) -> None:
    """The rules on trial beside the shipped ones: recall by typology, cases a day, and what changes, both ways."""
    console = screen()
    table = _table("typology", "patterns", "recall", "shipped", "cases", "shipped")
    shipped = {score.typology: score for score in trial.shipped.typologies}
    for score in trial.trial.typologies:
        other = shipped[score.typology]
        table.add_row(
            score.typology,
            str(score.patterns),
            _share(score.recall),
            _share(other.recall),
            str(score.cases),
            str(other.cases),
        )
    console.print(table)
    console.print(_rules(trial.trial))
    console.print(f"these rules:   {total_line(trial.trial)}")
    console.print(f"shipped rules: {total_line(trial.shipped)}")
    _list_differences(console, "won", trial.won)
    _list_differences(console, "lost", trial.lost)
    _list_flagged(console, "these rules alone make cases of", trial.subjects_more)
    _list_flagged(console, "the shipped rules alone make cases of", trial.subjects_fewer)


def total_line(evaluation: Evaluation) -> str:
    """All rules together, in a line."""
    total = evaluation.total
    parts = [f"{total.cases} cases of {total.subjects} accounts"]
    if total.cases_a_day is not None and total.subjects_a_day is not None:
        parts.append(f"at {PER:,} payments a day {total.cases_a_day:.0f} and {total.subjects_a_day:.0f}")
    if total.patterns:
        parts.insert(0, f"{total.recall.hits} of {total.patterns} crimes found ({_share(total.recall)})")
        parts.append(f"precision {_share(total.precision)}")
    return "; ".join(parts)


def _typologies(evaluation: Evaluation) -> Table:
    table = _table(
        "typology", "patterns", "found", "recall (95 %)", "in time", "with a case", "cases", "p50 s", "p99 s"
    )
    for score in evaluation.typologies:
        crime = score.crime
        table.add_row(
            score.typology if crime else f"({score.typology})",
            str(score.patterns),
            str(score.recall.hits) if crime else "",
            _share(score.recall),
            str(score.in_time) if crime else "",
            str(score.with_case),
            str(score.cases),
            _seconds(score.p50_ms),
            _seconds(score.p99_ms),
        )
    table.caption = "(in brackets: innocent). Seconds are from a pattern's last payment to the case that finds it"
    return table


def _rules(evaluation: Evaluation) -> Table:
    table = _table("rule", "cases", f"a day per {PER:,}", "true", "precision (95 %)", "finds", "alone")
    for score in evaluation.rules:
        a_day = "" if score.cases_a_day is None else f"{score.cases_a_day:.1f}"
        true = "" if score.precision.value is None else str(score.precision.hits)
        counts = true, _share(score.precision), str(score.found), str(score.found_alone)
        table.add_row(score.rule, str(score.cases), a_day, *counts)
    return table


def _list_differences(console: Console, word: str, differences: Sequence[CrimeDifference]) -> None:
    console.print(f"{word}: {len(differences)} crimes")
    for crime in differences[:MAX_SHOWN]:
        payors = ", ".join(map(str, crime.payors[:3]))
        console.print(f"  {crime.typology} of {len(crime.payment_ids)} payments by {payors}")
    _say_more(console, differences)


def _list_flagged(console: Console, words: str, flagged: Sequence[Flagged]) -> None:
    console.print(f"{words} {len(flagged)} accounts")
    for account in flagged[:MAX_SHOWN]:
        subject = " ".join(map(str, account.subject))
        console.print(f"  {subject}: {account.cases} of {', '.join(account.rules)}")
    _say_more(console, flagged)


def _say_more(console: Console, entries: Sequence[object]) -> None:
    if len(entries) > MAX_SHOWN:
        console.print(f"  ... and {len(entries) - MAX_SHOWN} more; --format json has them")


def _table(first: str, *others: str) -> Table:
    table = Table(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _share(share: Share) -> str:
    return "" if share.value is None else f"{share.value:.3f} ({share.low:.2f} to {share.high:.2f})"


def _seconds(value: int | None) -> str:
    return "" if value is None else f"{value / 1000:.3f}"

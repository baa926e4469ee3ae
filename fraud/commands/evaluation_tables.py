"""Tables and short lists that `python -m fraud evaluate` shows a person."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from fraud.evaluation.score import PER, Evaluation
from fraud.evaluation.shares import Share
from fraud.evaluation.trial import CrimeDifference, Flagged, Trial

MAX_SHOWN = 10
"""Entries of a list; JSON has all of them."""
MIN_WIDTH = 120
"""Columns of the tables: on a narrower screen their lines wrap, but nothing is cut off."""


def show_evaluation(evaluation: Evaluation) -> None:
    """Scores by typology and by rule, and the first of what was missed and of what was false."""
    screen = _screen()
    screen.print(_typologies(evaluation))
    screen.print(_rules(evaluation))
    screen.print(total_line(evaluation), highlight=False)
    for missed in evaluation.missed[:MAX_SHOWN]:
        payors = ", ".join(map(str, missed.payors[:3]))
        screen.print(
            f"missed: {missed.typology} of {len(missed.payment_ids)} payments by {payors}; "
            f"a case holds {missed.held:.0%} of them at most",
            highlight=False,
            markup=False,
        )
    for case in evaluation.false_cases[:MAX_SHOWN]:
        screen.print(f"false: {case.rule} case {case.case_id}, {case.typology}", highlight=False, markup=False)
    if len(evaluation.missed) > MAX_SHOWN or len(evaluation.false_cases) > MAX_SHOWN:
        screen.print("... and more; --format json has them")


def show_trial(trial: Trial) -> None:
    """The rules on trial beside the shipped ones: recall by typology, cases a day, and what changes, both ways."""
    screen = _screen()
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
    screen.print(table)
    screen.print(_rules(trial.trial))
    screen.print(f"these rules:   {total_line(trial.trial)}", highlight=False)
    screen.print(f"shipped rules: {total_line(trial.shipped)}", highlight=False)
    _list_differences(screen, "won", trial.won)
    _list_differences(screen, "lost", trial.lost)
    _list_flagged(screen, "these rules alone make cases of", trial.subjects_more)
    _list_flagged(screen, "the shipped rules alone make cases of", trial.subjects_fewer)


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
        counts = str(score.precision.hits), _share(score.precision), str(score.found), str(score.found_alone)
        table.add_row(score.rule, str(score.cases), a_day, *counts)
    return table


def _list_differences(screen: Console, word: str, differences: Sequence[CrimeDifference]) -> None:
    screen.print(f"{word}: {len(differences)} crimes")
    for crime in differences[:MAX_SHOWN]:
        payors = ", ".join(map(str, crime.payors[:3]))
        line = f"  {crime.typology} of {len(crime.payment_ids)} payments by {payors}"
        screen.print(line, highlight=False, markup=False)
    _say_more(screen, differences)


def _list_flagged(screen: Console, words: str, flagged: Sequence[Flagged]) -> None:
    screen.print(f"{words} {len(flagged)} accounts")
    for account in flagged[:MAX_SHOWN]:
        subject = " ".join(map(str, account.subject))
        screen.print(f"  {subject}: {account.cases} of {', '.join(account.rules)}", highlight=False, markup=False)
    _say_more(screen, flagged)


def _say_more(screen: Console, entries: Sequence[object]) -> None:
    if len(entries) > MAX_SHOWN:
        screen.print(f"  ... and {len(entries) - MAX_SHOWN} more; --format json has them", highlight=False)


def _screen() -> Console:
    return Console(width=max(Console().width, MIN_WIDTH))


def _table(first: str, *others: str) -> Table:
    table = Table(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _share(share: Share) -> str:
    return "" if share.value is None else f"{share.value:.3f} ({share.low:.2f} to {share.high:.2f})"


def _seconds(value: int | None) -> str:
    return "" if value is None else f"{value / 1000:.3f}"

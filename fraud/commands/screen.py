"""The screen on which commands answer people: text as it is, and tables of which nothing is cut off."""

from rich.console import Console

MIN_WIDTH = 120
"""Columns of the tables: on a narrower screen their lines wrap."""


def screen() -> Console:
    """A console to which "[/red]" is the name of a bank, and no markup."""
    return Console(width=max(Console().width, MIN_WIDTH), markup=False, emoji=False, highlight=False)

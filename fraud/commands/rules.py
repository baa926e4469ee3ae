"""`python -m fraud rules`: the rules as a table, or as JSON for a program that runs them."""

from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.table import Table

from fraud.commands.screen import screen
from fraud.rules import Rule, load
from fraud.settings import RulesSettings
from schemas.cli import write_json
from schemas.payment import dollars


def rules(
    settings: RulesSettings | None = None,
    *,
    form: Annotated[Literal["table", "json"], Parameter(name="--format")] = "table",
) -> None:
    """Show what each rule means, with its defaults filled in.

    Parameters
    ----------
    form
        A table for people, or a JSON array for a program: durations in ms, sums in cents, null for no limit.
    """
    rules = load((settings or RulesSettings()).fraud_rules)
    if form == "json":
        write_json([meaning(rule) for rule in rules])
        return
    table = Table("rule", "grouped by", "amounts", "window", "grace", "fires")
    for rule in rules:
        table.add_row(rule.name, ", ".join(rule.group_by), _amounts(rule), _windows(rule), _grace(rule), _fires(rule))
    screen().print(table)


def meaning(rule: Rule) -> dict[str, Any]:
    """A rule in numbers: what `compose/streams` reads. `fingerprint` changes with what it means."""
    return {
        "name": rule.name,
        "fingerprint": rule.fingerprint,
        "group_by": rule.group_by,
        "fold_banks": rule.fold_banks,
        "amount_from": rule.amount_from,
        "amount_below": rule.amount_below,
        "size_ms": rule.size_ms,
        "advance_ms": rule.advance_ms,
        "grace_ms": rule.grace_ms("changes"),
        "total_above_cents": rule.total_above_cents,
        "min_payments": rule.min_payments,
        "min_distinct": rule.min_distinct,
    }


def _amounts(rule: Rule) -> str:
    limits = (("from", rule.amount_from), ("below", rule.amount_below))
    return " ".join(f"{word} {amount:,.2f}" for word, amount in limits if amount is not None) or "all"


def _windows(rule: Rule) -> str:
    return f"{rule.window} every {rule.advance}" if rule.advance else rule.window


def _grace(rule: Rule) -> str:
    return rule.grace or f"{rule.grace_ms('changes')}ms"


def _fires(rule: Rule) -> str:
    conditions = []
    if rule.total_above_cents is not None:
        conditions.append(f"total above {dollars(rule.total_above_cents)}")
    if rule.min_payments is not None:
        conditions.append(f"{rule.min_payments} payments")
    if rule.min_distinct is not None:
        conditions.append(f"{rule.min_distinct.count} different {' and '.join(rule.min_distinct.of)}")
    return "; ".join(conditions)

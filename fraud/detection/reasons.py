"""Why a rule fired, told in numbers. Pure. The law asks for purpose, which no rule sees, so nothing else is said."""

from decimal import Decimal

from fraud.rules import Rule, split_duration

_UNITS = {"ms": "ms", "s": "s", "m": "min", "h": "h", "d": "days"}


def reason(rule: Rule | None, payment_count: int, total_amount: str) -> str:
    """A sentence such as "3 payments, each at most $10,000, together $12,000.03 within 24 h".

    `total_amount` in dollars. Without the rule (it has been taken out of the file since) the numbers stand alone.
    """
    together = f"together {_dollars(Decimal(total_amount))}"
    payments = f"{payment_count} payment" if payment_count == 1 else f"{payment_count:,} payments"
    if rule is None:
        return f"{payments}, {together}"
    return ", ".join(
        part for part in (payments, _others(rule), _amounts(rule), f"{together} within {_window(rule)}") if part
    )


def _others(rule: Rule) -> str:
    """Number of other accounts, where the rule counts them."""
    if rule.min_distinct is None:
        return ""
    by_payor = "payor_account_no" in rule.min_distinct.of
    return f"{'from' if by_payor else 'to'} {rule.min_distinct.count} or more {'payors' if by_payor else 'payees'}"


def _amounts(rule: Rule) -> str:
    limits = []
    if rule.amount_from is not None:
        limits.append(f"at least {_dollars(Decimal(str(rule.amount_from)))}")
    if rule.amount_below is not None:
        limits.append(_at_most(Decimal(str(rule.amount_below))))
    return "each " + " and ".join(limits) if limits else ""


def _at_most(below: Decimal) -> str:
    """Below $10,000.01 is at most $10,000: amounts are whole cents."""
    greatest = below - Decimal("0.01")
    return f"at most {_dollars(greatest)}" if greatest == int(greatest) else f"below {_dollars(below)}"


def _dollars(amount: Decimal) -> str:
    return f"${amount:,.2f}".removesuffix(".00")


def _window(rule: Rule) -> str:
    number, unit = split_duration(rule.window)
    return f"{number} {_UNITS[unit]}"

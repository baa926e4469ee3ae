"""The rules: what is read from `rules.toml`, and what a file must hold to be one.

A `Rule` is what stands in the file, checked; everything that follows from it is a property. Durations stay as they
were written, so that the SQL can say "24 HOURS" where the file says "24h".
"""

import hashlib
import re
import tomllib
from collections import Counter
from decimal import Decimal
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from schemas.errors import SettingsError
from schemas.payment import AMOUNT_MAX

Column = Literal["payor_account_no", "payee_bank", "payee_account_no"]
Emit = Literal["changes", "final"]
"""When a window's rows are emitted: for every update while the rule fires, or once when it has closed."""

COLUMNS: tuple[str, ...] = get_args(Column)
DURATION_PATTERN = r"\A(0|[1-9][0-9]{0,8})(ms|s|m|h|d)\Z"
Duration = Annotated[str, Meta(pattern=DURATION_PATTERN)]

PAYEE = frozenset({"payee_bank", "payee_account_no"})
MAX_DISTINCT = 1000
"""ksqlDB's COLLECT_SET is exact up to this many values."""
MAX_WINDOWS = 1000
"""Into how many windows one payment may fall."""
MAX_TOTAL = 10**15
"""Dollars; ksqlDB adds up in DECIMAL(18,2), which ends at ten times as much."""

DAY_MS = 86_400_000
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}
_AT = re.compile(r" - at `\$\.?(\w+(?:\.\w+)*)?[^`]*`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(\w+)`$")

_DURATIONS = 'a whole number and one of ms, s, m, h, d, such as "24h"'
_GROUPS = (
    f"different ones of {', '.join(COLUMNS)}; among them payor_account_no, or both payee_bank and payee_account_no"
)
_ALLOWED = {
    "name": "a lower-case letter, then lower-case letters, digits and _; at most 64 in all",
    "group_by": _GROUPS,
    "fold_banks": "true or false; true only where payee_bank is in group_by or min_distinct.of",
    "amount_from": f"dollars, from 0 to {AMOUNT_MAX:.0f}, with at most two decimals",
    "amount_below": f"dollars, above 0 and above amount_from, to {AMOUNT_MAX:.0f}, with at most two decimals",
    "window": f"{_DURATIONS}, longer than 0",
    "advance": f"{_DURATIONS}, longer than 0, at most the window, at least a {MAX_WINDOWS}th of it",
    "grace": _DURATIONS,
    "total_above": f"dollars, from 0 to {MAX_TOTAL}, with at most two decimals",
    "min_payments": "a whole number, at least 1",
    "min_distinct": "{ of = [columns], count = number }",
    "min_distinct.of": f"different ones of {', '.join(COLUMNS)}; not all of them in group_by",
    "min_distinct.count": f"a whole number from 1 to {MAX_DISTINCT}",
}
"""Every key of a rule, and what it may hold: the second half of each error's text."""


def milliseconds(duration: str) -> int:
    """A duration as rules have it, "24h", in milliseconds."""
    count, unit = split_duration(duration)
    return count * _UNIT_MS[unit]


def split_duration(duration: str) -> tuple[int, str]:
    """Number and unit of a duration: "24h" is (24, "h"). Raises ValueError for what is none."""
    match = re.fullmatch(DURATION_PATTERN, duration)
    if match is None:
        raise ValueError(f"{duration!r} is no duration; allowed: {_DURATIONS}")
    return int(match[1]), match[2]


class Distinct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition: at least `count` different values of the columns `of`, taken together."""

    of: Annotated[tuple[Column, ...], Meta(min_length=1)]
    count: Annotated[int, Meta(ge=1, le=MAX_DISTINCT)]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """A rule as it stands in the file; the file says what each key means.

    `amount_from` and `amount_below` are doubles because ksqlDB compares payments with them as doubles. `grace` is None
    where the file leaves it to the default, see `grace_ms`.
    """

    name: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,63}\Z")]
    group_by: Annotated[tuple[Column, ...], Meta(min_length=1)]
    fold_banks: bool = False
    amount_from: Annotated[float, Meta(ge=0, le=AMOUNT_MAX)] | None = None
    amount_below: Annotated[float, Meta(gt=0, le=AMOUNT_MAX)] | None = None
    window: Duration
    advance: Duration | None = None
    grace: Duration | None = None
    total_above: Decimal | int | None = None
    min_payments: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    min_distinct: Distinct | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, which msgspec turns into its ValidationError, for keys that do not fit together."""
        _check_groups(self)
        _check_amounts(self)
        _check_windows(self)
        if self.total_above is None and self.min_payments is None and self.min_distinct is None:
            raise ValueError("never fires: give one of total_above, min_payments, min_distinct")

    @cached_property
    def size_ms(self) -> int:
        """Length of a window."""
        return milliseconds(self.window)

    @cached_property
    def advance_ms(self) -> int:
        """Distance between the starts of two windows: the window's length unless they overlap."""
        return milliseconds(self.advance or self.window)

    def grace_ms(self, emit: Emit) -> int:
        """Time after its end in which a window takes late payments.

        Without a GRACE clause ksqlDB takes 24 h less the window for EMIT CHANGES, nothing for EMIT FINAL.
        """
        if self.grace is not None:
            return milliseconds(self.grace)
        return max(DAY_MS - self.size_ms, 0) if emit == "changes" else 0

    @property
    def total_above_cents(self) -> int | None:
        """`total_above`, exact."""
        return None if self.total_above is None else int(Decimal(self.total_above).scaleb(2))

    @property
    def columns(self) -> frozenset[str]:
        """The columns that tell groups or distinct values apart."""
        return frozenset(self.group_by).union(self.min_distinct.of if self.min_distinct else ())

    @cached_property
    def input_topic(self) -> str:
        """The topic whose partitions keep this rule's groups together."""
        return "payments" if "payor_account_no" in self.group_by else "payments_by_payee"

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the definition: the same for "24h" and "1d", 10000 and 10000.00; another one for any other rule."""
        meaning = {
            **msgspec.structs.asdict(self),
            "window": self.size_ms,
            "advance": self.advance_ms,
            "grace": self.grace_ms("changes"),
            "total_above": self.total_above_cents,
        }
        if not self.fold_banks:
            del meaning["fold_banks"]  # a rule that does not ask for it is the one that it was before there was such
        return hashlib.sha256(msgspec.json.encode(meaning, order="sorted")).hexdigest()[:16]


def _check_groups(rule: Rule) -> None:
    for key, columns in ("group_by", rule.group_by), ("min_distinct.of", rule.min_distinct and rule.min_distinct.of):
        if columns and len(set(columns)) < len(columns):
            raise _wrong(key, f"{Counter(columns).most_common(1)[0][0]} stands there twice")
    if "payor_account_no" not in rule.group_by and not set(rule.group_by) >= PAYEE:
        raise _wrong("group_by", "payments of one group would lie in several partitions")
    if rule.min_distinct and set(rule.min_distinct.of) <= set(rule.group_by):
        raise _wrong("min_distinct.of", "within a group there is only one such value")
    if rule.fold_banks and "payee_bank" not in rule.columns:
        raise _wrong("fold_banks", "the rule does not look at banks")


def _check_amounts(rule: Rule) -> None:
    for key, amount in ("amount_from", rule.amount_from), ("amount_below", rule.amount_below):
        if amount is not None and amount != round(amount, 2):
            raise _wrong(key, f"cannot be {amount}")
    if rule.amount_below is not None and (rule.amount_from or 0) >= rule.amount_below:
        raise _wrong("amount_below", "no payment is that small")
    total = Decimal(rule.total_above or 0)
    if not total.is_finite() or not 0 <= total <= MAX_TOTAL or total != round(total, 2):
        raise _wrong("total_above", f"cannot be {total}")


def _check_windows(rule: Rule) -> None:
    if rule.size_ms == 0:
        raise _wrong("window", "is 0")
    if not rule.size_ms <= rule.advance_ms * MAX_WINDOWS:
        raise _wrong("advance", "too short")
    if rule.advance_ms > rule.size_ms:
        raise _wrong("advance", "longer than the window: payments in between would be lost")


def _wrong(key: str, reason: str) -> ValueError:
    """An error that reads like msgspec's own."""
    return ValueError(f"{reason} - at `$.{key}`")


def load(path: Path | None = None) -> tuple[Rule, ...]:
    """The rules in a file, or the shipped ones.

    Raises:
        SettingsError: the file cannot be read or is not what it should be; names file, rule and key, and says what is
            allowed there.
    """
    try:
        if path is None:
            return parse(resources.files("fraud").joinpath("rules.toml").read_text(encoding="utf-8"), "rules.toml")
        # Editors on Windows put a byte order mark before the text.
        return parse(path.read_text(encoding="utf-8-sig"), str(path))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from None


def parse(text: str, file: str) -> tuple[Rule, ...]:
    """The rules in a TOML text; `file` is what errors call it. Raises SettingsError like `load`."""
    try:
        tables = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:  # numbers beyond all bounds, arrays in arrays
        raise SettingsError(f"{file}: not TOML: {error}") from None
    if unknown := tables.keys() - {"rule"}:
        raise SettingsError(f"{file}: unknown key {min(unknown)!r}; a file of rules has [[rule]] tables only")
    entries = tables.get("rule", [])
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise SettingsError(f"{file}: has no rules; each begins with a line [[rule]]")
    rules = tuple(_rule(entry, f"{file}: {_name_of(entry, number)}") for number, entry in enumerate(entries, 1))
    for name, count in Counter(rule.name for rule in rules).items():
        if count > 1:
            raise SettingsError(f'{file}: rule "{name}": name: {count} rules have it; each needs one of its own')
    return rules


def _name_of(entry: dict[str, Any], number: int) -> str:
    name = entry.get("name")
    return f'rule "{name}"' if isinstance(name, str) and name else f"rule number {number}"


def _rule(entry: dict[str, Any], where: str) -> Rule:
    try:
        return msgspec.convert(entry, Rule, builtin_types=(Decimal,))
    except (msgspec.ValidationError, OverflowError) as error:
        raise SettingsError(f"{where}: {_explain(str(error), entry)}") from None


def _explain(message: str, entry: dict[str, Any]) -> str:
    """Complaint of msgspec about a rule, as "key: what is wrong; allowed: what may stand there"."""
    at = _AT.search(message)
    key = (at and at[1]) or ""
    reason = _AT.sub("", message)
    if unknown := _UNKNOWN.fullmatch(reason):
        keys = [path for path in _ALLOWED if path.rpartition(".")[0] == key]
        return f"{unknown[1]}: unknown key; allowed: {', '.join(keys)}"
    if missing := _MISSING.fullmatch(reason):
        key, reason = f"{key}.{missing[1]}".lstrip("."), "is missing"
    elif "matching regex" in reason:
        reason = f"cannot be {entry[key]!r}"
    return f"{key}: {reason}; allowed: {_ALLOWED[key]}" if key in _ALLOWED else reason

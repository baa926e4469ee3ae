"""Both engines' records, read as rows that can be compared. Pure: bytes in, rows out, or RowError."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec
from msgspec import to_builtins

from fraud.comparison.compare import Row, WindowKey, window_key
from fraud.rules import Rule
from schemas.case import Case, CaseError, Count, Group, decode_case
from schemas.errors import UndertenError
from schemas.payment import Time

SINK = "ksqldb_"
"""Prefix of the names of ksqlDB's sink topics; the rule's name follows."""
MAX_SUM = 10**16
"""Dollars; where DECIMAL(18,2), in which ksqlDB adds up, ends."""


class RowError(UndertenError):
    """A record is no row of the engine that its topic belongs to."""


class _KsqldbValue(msgspec.Struct, rename="upper"):
    """A row as ksqlDB writes it."""

    window_end: Time
    payment_count: Count
    total_amount: Decimal
    max_amount: float
    payment_ids: list[str]


class _Window(msgspec.Struct):
    """The fields that name a window, as a payment that was not counted has them."""

    rule: str
    group: Group
    window_start: Time

    @property
    def key(self) -> WindowKey:
        return window_key(self.rule, self.window_start, to_builtins(self.group))


class _RepeatedWindow(_Window):
    case_id: str


class _Repeated(msgspec.Struct):
    """The fields of a repeated payment that name the windows that did not count it again."""

    windows: list[_RepeatedWindow]


_decode_key = msgspec.json.Decoder(dict[str, int | str] | int | str).decode
_decode_ksqldb = msgspec.json.Decoder(_KsqldbValue).decode
_decode_late = msgspec.json.Decoder(_Window).decode
_decode_repeated = msgspec.json.Decoder(_Repeated).decode
_NO_ROW = (msgspec.MsgspecError, ValueError, KeyError, ArithmeticError, RecursionError)


def of_ksqldb(rule: Rule, key: bytes | None, value: bytes | None) -> tuple[WindowKey, Row | None]:
    """A record of a sink topic; raises RowError.

    Its key: columns named `K_...`, or one bare value; then the window's start, 8 bytes.
    """
    try:
        window = _window_key(rule, key or b"")
        return window, None if value is None else _row(_decode_ksqldb(value))
    except _NO_ROW as error:
        raise RowError(f"not a row of ksqlDB's: {error!r}") from None


def of_python(value: bytes) -> tuple[WindowKey, Row]:
    """A record of `review_queue`; raises RowError."""
    try:
        case = decode_case(value)
    except CaseError as error:
        raise RowError(str(error)) from None
    return window_key(case.rule, case.window_start, to_builtins(case.group)), row_of(case)


def row_of(case: Case) -> Row:
    """The fields of a case that are compared."""
    return Row(
        case.window_end,
        case.payment_count,
        Decimal(case.total_amount),
        case.max_amount,
        tuple(sorted(payment.id for payment in case.payments)),
    )


def window_of_late(value: bytes | None) -> WindowKey:
    """The window that a record of `payment_late` came too late for; raises RowError."""
    try:
        return _decode_late(value or b"").key
    except _NO_ROW as error:
        raise RowError(f"not a late payment: {error!r}") from None


def windows_of_repeated(value: bytes | None) -> list[WindowKey]:
    """The windows that a record of `payment_repeated` was not counted in again; raises RowError."""
    return [window.key for window in _repeated_windows(value)]


def cases_of_repeated(value: bytes | None) -> list[str]:
    """The case ids of these windows; raises RowError."""
    return [window.case_id for window in _repeated_windows(value)]


def _repeated_windows(value: bytes | None) -> list[_RepeatedWindow]:
    try:
        return _decode_repeated(value or b"").windows
    except _NO_ROW as error:
        raise RowError(f"not a repeated payment: {error!r}") from None


def _window_key(rule: Rule, key: bytes) -> WindowKey:
    columns = _decode_key(key[:-8])
    values = [columns[f"K_{name.upper()}"] for name in rule.group_by] if isinstance(columns, Mapping) else [columns]
    group = dict(zip(rule.group_by, values, strict=True))
    start = int.from_bytes(key[-8:], "big", signed=True)
    return msgspec.convert({"rule": rule.name, "group": group, "window_start": start}, _Window).key


def _row(value: _KsqldbValue) -> Row:
    return Row(
        value.window_end,
        value.payment_count,
        _cents(value.total_amount),
        value.max_amount,
        tuple(sorted(value.payment_ids)),
    )


def _cents(amount: Decimal) -> Decimal:
    """Dollars with two places; raises ValueError for what is no sum of payments."""
    if not 0 <= amount < MAX_SUM:
        raise ValueError(f"an amount of {amount}")
    return amount.quantize(Decimal("0.01"))

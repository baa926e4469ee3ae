"""Agreement of ksqlDB and Python on a case. Pure: both engines' rows in, a verdict out.

The view stores of a case the verdict of its two rows as they stand. Whether that can be said already is another matter:
one engine may not have read yet what the other has. So a verdict other than "agree" counts once both engines had read
everything *after* the case last changed; until then the case is "pending".
"""

from hashlib import blake2b
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from fraud.comparison.compare import GroupColumns, Row, WindowKey, difference
from fraud.comparison.rows import RowError, of_ksqldb
from fraud.rules import Rule
from fraud.windows import MAX_LISTED
from schemas import case
from schemas.case import Case, ListedPayment, case_id
from schemas.payment import LATEST

Verdict = Literal["agree", "differ", "only_python", "only_ksqldb"]
AGREEMENTS = (*get_args(Verdict), "pending", "off")
"""A case's agreement: a verdict, or that it cannot be said yet, or that there is one engine only."""

_encode = msgspec.msgpack.Encoder(decimal_format="string").encode


class KsqldbRow(NamedTuple):
    """ksqlDB's row of a window, None where it took it back; `timestamp` is that of its record (ms since the epoch)."""

    case_id: str
    rule: str
    group: GroupColumns
    window_start: int
    timestamp: int
    row: Row | None


def read_ksqldb(rule: Rule, key: bytes | None, value: bytes | None, timestamp: int) -> KsqldbRow:
    """Read a record of a sink topic; raises RowError where it is none."""
    window, row = of_ksqldb(rule, key, value)
    if not 0 <= timestamp <= LATEST:
        raise RowError(f"not a row of ksqlDB's: a time of {timestamp} ms")
    group: GroupColumns = msgspec.json.decode(window.group)
    row_id = case_id(rule.name, window.window_start, tuple(group[column] for column in rule.group_by))
    return KsqldbRow(row_id, rule.name, group, window.window_start, timestamp, row)


def fingerprint(row: Row) -> int:
    """A signed 64-bit number that is the same for two rows if, and only if, `fraud.comparison` finds them equal.

    Amounts have two decimals in both. Ids of a window with more payments than are listed are not compared.
    """
    ids = row.payment_ids if row.payment_count <= MAX_LISTED else ()
    figures = (row.window_end, row.payment_count, row.total_amount, row.max_amount, ids)
    return int.from_bytes(blake2b(_encode(figures), digest_size=8).digest(), "big", signed=True)


def verdict(ksqldb: int | None, python: int | None) -> Verdict:
    """Judge the fingerprints of two rows, of which one is there."""
    if ksqldb is None:
        return "only_python"
    if python is None:
        return "only_ksqldb"
    return "agree" if ksqldb == python else "differ"


def case_of(ksqldb: KsqldbRow) -> Case:
    """Make the case of a window that only ksqlDB has found: of its payments it has the ids and the last time."""
    assert ksqldb.row is not None
    return Case(
        case_id=ksqldb.case_id,
        rule=ksqldb.rule,
        group=msgspec.convert(ksqldb.group, case.Group),
        window_start=ksqldb.window_start,
        window_end=ksqldb.row.window_end,
        payment_count=ksqldb.row.payment_count,
        total_amount=f"{ksqldb.row.total_amount:.2f}",
        max_amount=ksqldb.row.max_amount,
        first_payment_at=None,
        last_payment_at=ksqldb.timestamp,
        payments=tuple(map(ListedPayment, ksqldb.row.payment_ids)),
    )


def difference_of(
    window: WindowKey, ksqldb: Row | None, python: Row | None, late: int, repeated: int
) -> dict[str, Any] | None:
    """The difference as GET /comparison has it; None where there is none."""
    unequal = difference(window, ksqldb, python, late, repeated)
    return msgspec.to_builtins(unequal) if unequal else None


def engines_of(window: WindowKey, ksqldb: Row | None, python: Row | None) -> dict[str, Any]:
    """Both engines' figures side by side, and those that differ."""
    unequal = difference(window, ksqldb, python) if ksqldb and python else None
    return {"python": python, "ksqldb": ksqldb, "differences": unequal.fields if unequal else {}}

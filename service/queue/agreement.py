"""Whether ksqlDB and Python agree on a case. Pure: both engines' rows in, a verdict out.

What the view stores of a case is the verdict of its two rows as they stand. Whether that can be said already is another
matter: one engine may not have read yet what the other has. So a verdict other than "agree" counts once both engines
had read everything *after* the case last changed; until then the case is "pending".
"""

from typing import Any, Literal, NamedTuple, get_args

import msgspec

from fraud.comparison.compare import Group, Row, difference, place
from fraud.comparison.rows import of_ksqldb, of_python
from fraud.rules import Rule
from schemas import case
from schemas.case import Case, ListedPayment, case_id

Verdict = Literal["agree", "differ", "only_python", "only_ksqldb"]
AGREEMENTS = (*get_args(Verdict), "pending", "off")
"""What a case's agreement may be: a verdict, or that it cannot be said yet, or that there is one engine only."""


class KsqldbRow(NamedTuple):
    """ksqlDB's row of a window, None where it took it back; `timestamp` is that of its record (ms since the epoch)."""

    case_id: str
    rule: str
    group: Group
    window_start: int
    timestamp: int
    row: Row | None


def read_ksqldb(rule: Rule, key: bytes | None, value: bytes | None, timestamp: int) -> KsqldbRow:
    """A record of a sink topic; raises RowError where it is none."""
    where, row = of_ksqldb(rule, key, value)
    group: Group = msgspec.json.decode(where.group)
    found = case_id(rule.name, where.window_start, tuple(group[column] for column in rule.group_by))
    return KsqldbRow(found, rule.name, group, where.window_start, timestamp, row)


def verdict(ksqldb: Row | None, python_case: bytes | None) -> Verdict:
    """What the two rows say; one of them is there. `python_case` is the case as it stands on `review_queue`."""
    if ksqldb is None:
        return "only_python"
    if python_case is None:
        return "only_ksqldb"
    where, row = of_python(python_case)
    return "differ" if difference(where, ksqldb, row) else "agree"


def case_of(found: KsqldbRow) -> Case:
    """A case that only ksqlDB has found. It knows the payments by their ids, and of their times the last."""
    assert found.row is not None
    return Case(
        case_id=found.case_id,
        rule=found.rule,
        group=msgspec.convert(found.group, case.Group),
        window_start=found.window_start,
        window_end=found.row.window_end,
        payment_count=found.row.payment_count,
        total_amount=f"{found.row.total_amount:.2f}",
        max_amount=found.row.max_amount,
        first_payment_at=None,
        last_payment_at=found.timestamp,
        payments=tuple(map(ListedPayment, found.row.payment_ids)),
    )


def difference_of(ksqldb: KsqldbRow | None, python_case: bytes | None, late: int) -> dict[str, Any] | None:
    """The difference as GET /comparison has it; None where there is none."""
    if python_case is not None:
        where, row = of_python(python_case)
        found = difference(where, ksqldb.row if ksqldb else None, row, late)
    else:
        assert ksqldb is not None
        found = difference(place(ksqldb.rule, ksqldb.window_start, ksqldb.group), ksqldb.row, None, late)
    return msgspec.to_builtins(found) if found else None


def engines_of(ksqldb: KsqldbRow | None, python_case: bytes | None) -> dict[str, Any]:
    """Both engines' figures side by side, and those that differ."""
    theirs = ksqldb.row if ksqldb else None
    if python_case is None:
        return {"python": None, "ksqldb": theirs, "differences": {}}
    where, ours = of_python(python_case)
    found = difference(where, theirs, ours) if theirs else None
    return {"python": ours, "ksqldb": theirs, "differences": found.fields if found else {}}

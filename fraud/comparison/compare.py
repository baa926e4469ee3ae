"""ksqlDB against Python, window by window. Pure: rows in, verdicts out.

Both engines' last row of each window are aligned by rule, group and window. Sums are exact decimals on both sides, so
they are compared for equality, not for closeness; ids are compared in whatever order, because that of arrival is honest
to differ between partitions. Both list no more than the first 1,000 payments to arrive: of a larger window, ids are not
compared.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from fraud.windows import MAX_LISTED

Kind = Literal["equal", "only_ksqldb", "only_python", "different", "late", "repeated"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Uncounted = Literal["late", "repeated"]
"""Reasons why a window did not count a payment."""

GroupColumns = dict[str, int | str]
"""The values of a group, by column."""


class WindowKey(NamedTuple):
    """A window's key: its rule, its start, and its group as JSON with its columns in order of their names."""

    rule: str
    window_start: int
    group: str


class Row(msgspec.Struct, frozen=True):
    """An engine's row of a window; `payment_ids` in order."""

    window_end: int
    payment_count: int
    total_amount: Decimal
    max_amount: float
    payment_ids: tuple[str, ...]


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A window on which the engines do not agree; `fields` are those that differ, as each has them."""

    rule: str
    group: GroupColumns
    window_start: int
    kind: Kind
    fields: dict[str, dict[str, Any]]
    late: int = 0
    """Payments that came after the window had closed, and were not added to it by Python."""
    repeated: int = 0
    """Payments that came again with an id that Python had counted already."""


def window_key(rule: str, window_start: int, group: Mapping[str, int | str]) -> WindowKey:
    """Key of a window, however its engine orders its columns."""
    return WindowKey(rule, window_start, msgspec.json.encode(dict(group), order="sorted").decode())


def align(
    ksqldb: Iterable[tuple[WindowKey, Row]], python: Iterable[tuple[WindowKey, Row]]
) -> Iterator[tuple[WindowKey, Row | None, Row | None]]:
    """Lay both engines' rows side by side; each has its own in order of key."""
    rows_of_ksqldb, rows_of_python = iter(ksqldb), iter(python)
    first, second = next(rows_of_ksqldb, None), next(rows_of_python, None)
    while first or second:
        if second is None or (first is not None and first[0] < second[0]):
            assert first is not None
            yield first[0], first[1], None
            first = next(rows_of_ksqldb, None)
        elif first is None or second[0] < first[0]:
            yield second[0], None, second[1]
            second = next(rows_of_python, None)
        else:
            yield first[0], first[1], second[1]
            first, second = next(rows_of_ksqldb, None), next(rows_of_python, None)


def difference(
    window: WindowKey, ksqldb: Row | None, python: Row | None, late: int = 0, repeated: int = 0
) -> Difference | None:
    """Fields of a window on which the engines do not agree; None if they do."""
    if ksqldb == python:
        return None
    kind: Kind = "different" if ksqldb and python else "only_ksqldb" if ksqldb else "only_python"
    by_ksqldb, by_python = _fields(ksqldb), _fields(python)
    if ksqldb and python and max(ksqldb.payment_count, python.payment_count) > MAX_LISTED:
        by_ksqldb["payment_ids"] = by_python["payment_ids"] = ()
    fields = {
        name: {"ksqldb": by_ksqldb.get(name), "python": by_python.get(name)}
        for name in Row.__struct_fields__
        if by_ksqldb.get(name) != by_python.get(name)
    }
    if not fields:
        return None
    if "payment_ids" in fields and by_ksqldb and by_python:
        ksqldb_ids, python_ids = set(by_ksqldb["payment_ids"]), set(by_python["payment_ids"])
        fields["payment_ids"] = {"ksqldb": sorted(ksqldb_ids - python_ids), "python": sorted(python_ids - ksqldb_ids)}
    group = msgspec.json.decode(window.group)
    kind = "repeated" if repeated else "late" if late else kind
    return Difference(window.rule, group, window.window_start, kind, fields, late, repeated)


def _fields(row: Row | None) -> dict[str, Any]:
    if row is None:
        return {}
    return {**msgspec.structs.asdict(row), "total_amount": f"{row.total_amount:.2f}"}


@dataclass
class Comparison:
    """The verdicts so far, counted; the first differences are kept."""

    rules: dict[str, Counter[str]] = field(default_factory=dict)
    settled: int = 0
    provisional: int = 0
    expired: int = 0
    """Windows that are not compared: so old that ksqlDB's topics may have lost them, and not there any more."""
    not_understood: int = 0
    """Records of either engine that are no rows."""
    differences: list[Difference] = field(default_factory=list)
    max_differences: int = 1000

    def add(self, window: WindowKey, disagreement: Difference | None, *, closed: bool) -> None:
        """Count one window; `closed`: it takes no more payments."""
        self.rules.setdefault(window.rule, Counter())[disagreement.kind if disagreement else "equal"] += 1
        self.settled += closed
        self.provisional += not closed
        if disagreement is not None and len(self.differences) < self.max_differences:
            self.differences.append(disagreement)

    @property
    def agree(self) -> bool:
        """True if every window is equal."""
        return all(kinds.total() == kinds["equal"] for kinds in self.rules.values())

    def as_json(self, *, caught_up: bool) -> dict[str, Any]:
        """The comparison as `fraud compare --format json` has it."""
        return {
            "rules": {rule: {kind: kinds[kind] for kind in KINDS} for rule, kinds in sorted(self.rules.items())},
            "settled": self.settled,
            "provisional": self.provisional,
            "expired": self.expired,
            "not_understood": self.not_understood,
            "caught_up": caught_up,
            "differences": msgspec.to_builtins(self.differences),
        }

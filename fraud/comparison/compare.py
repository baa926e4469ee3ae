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

from fraud.windows import LISTED_MAX

Kind = Literal["equal", "only_ksqldb", "only_python", "different", "late", "repeated"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Group = dict[str, int | str]


class Place(NamedTuple):
    """Which window: its rule, its start, and its group as JSON with its columns in order of their names."""

    rule: str
    window_start: int
    group: str


class Row(msgspec.Struct, frozen=True):
    """What an engine found in a window; `payment_ids` in order."""

    window_end: int
    payment_count: int
    total_amount: Decimal
    max_amount: float
    payment_ids: tuple[str, ...]


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A window on which the engines do not agree; `fields` are those that differ, as each has them."""

    rule: str
    group: Group
    window_start: int
    kind: Kind
    fields: dict[str, dict[str, Any]]
    late: int = 0
    """Payments that came after the window had closed, and were not added to it by Python."""
    repeated: int = 0
    """Payments that came again with an id that Python had counted already."""


def place(rule: str, window_start: int, group: Mapping[str, int | str]) -> Place:
    """Where a window belongs, however its engine orders its columns."""
    return Place(rule, window_start, msgspec.json.encode(dict(group), order="sorted").decode())


def aligned(
    ksqldb: Iterable[tuple[Place, Row]], python: Iterable[tuple[Place, Row]]
) -> Iterator[tuple[Place, Row | None, Row | None]]:
    """Both engines' rows side by side; each has its own in order of place."""
    theirs, ours = iter(ksqldb), iter(python)
    left, right = next(theirs, None), next(ours, None)
    while left or right:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None
            yield left[0], left[1], None
            left = next(theirs, None)
        elif left is None or right[0] < left[0]:
            yield right[0], None, right[1]
            right = next(ours, None)
        else:
            yield left[0], left[1], right[1]
            left, right = next(theirs, None), next(ours, None)


def difference(
    where: Place, ksqldb: Row | None, python: Row | None, late: int = 0, repeated: int = 0
) -> Difference | None:
    """What the engines do not agree on in a window; None if they do."""
    if ksqldb == python:
        return None
    kind: Kind = "different" if ksqldb and python else "only_ksqldb" if ksqldb else "only_python"
    theirs, ours = _fields(ksqldb), _fields(python)
    if ksqldb and python and max(ksqldb.payment_count, python.payment_count) > LISTED_MAX:
        theirs["payment_ids"] = ours["payment_ids"] = ()
    fields = {
        name: {"ksqldb": theirs.get(name), "python": ours.get(name)}
        for name in Row.__struct_fields__
        if theirs.get(name) != ours.get(name)
    }
    if not fields:
        return None
    if "payment_ids" in fields and theirs and ours:
        left, right = set(theirs["payment_ids"]), set(ours["payment_ids"])
        fields["payment_ids"] = {"ksqldb": sorted(left - right), "python": sorted(right - left)}
    group = msgspec.json.decode(where.group)
    kind = "repeated" if repeated else "late" if late else kind
    return Difference(where.rule, group, where.window_start, kind, fields, late, repeated)


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
    most_differences: int = 1000

    def add(self, where: Place, found: Difference | None, *, closed: bool) -> None:
        """Count one window; `closed`: it takes no more payments."""
        self.rules.setdefault(where.rule, Counter())[found.kind if found else "equal"] += 1
        self.settled += closed
        self.provisional += not closed
        if found is not None and len(self.differences) < self.most_differences:
            self.differences.append(found)

    @property
    def agree(self) -> bool:
        """Whether every window is equal."""
        return all(kinds.total() == kinds["equal"] for kinds in self.rules.values())

    def as_json(self, *, caught_up: bool) -> dict[str, Any]:
        """As `fraud compare --format json` has it."""
        return {
            "rules": {rule: {kind: kinds[kind] for kind in KINDS} for rule, kinds in sorted(self.rules.items())},
            "settled": self.settled,
            "provisional": self.provisional,
            "expired": self.expired,
            "not_understood": self.not_understood,
            "caught_up": caught_up,
            "differences": msgspec.to_builtins(self.differences),
        }

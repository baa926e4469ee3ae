"""What the rules found against what is known to be there: recall, precision, and how long it took. Pure: no I/O.

The truth is a list of instances: patterns of which it is known which rules should find them, and by which payments.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.errors import SettingsError

ORDINARY = "ordinary"
"""What payments are called that belong to no instance."""


class Instance(msgspec.Struct, frozen=True):
    """A line of the truth. `crossed_at`: when the payment that crossed the line was made, ms since the epoch.

    `run` begins the id of every payment that was sent along with it, ordinary ones too. Without it, nothing is known of
    other payments, and every case is judged.
    """

    typology: Annotated[str, Meta(min_length=1)]
    expected: tuple[str, ...]
    payment_ids: tuple[str, ...]
    crossed_at: int | None = None
    group: dict[str, int | str] = {}
    run: str = ""


class Found(msgspec.Struct):
    """A case: its rule, its payments, and when it was first written (ms since the epoch)."""

    rule: str
    payment_ids: frozenset[str]
    first_at: int


class Cases:
    """Cases by their ids, as they come: the last version of each, and when the first one came."""

    def __init__(self) -> None:
        self._cases: dict[str, Found] = {}

    def add(self, case_id: str, rule: str, payment_ids: Iterable[str], at_ms: int) -> None:
        """A version of a case, written at `at_ms`."""
        known = self._cases.get(case_id)
        first_at = at_ms if known is None else min(at_ms, known.first_at)
        self._cases[case_id] = Found(rule, frozenset(payment_ids), first_at)

    def discard(self, case_id: str) -> None:
        """Forget a case that was taken away."""
        self._cases.pop(case_id, None)

    def __iter__(self) -> Iterator[tuple[str, Found]]:
        """Every case with its id."""
        return iter(self._cases.items())


class Score(msgspec.Struct):
    """One rule on one typology, or on all of them.

    `expected` instances should have been found by the rule, `found` of them were. `cases` of the rule hold payments of
    the typology; `true_cases` of them hold payments of an instance that names the rule. Milliseconds are from the
    payment that crossed the line to the case. None: there was nothing to divide.
    """

    typology: str
    rule: str
    expected: int
    found: int
    cases: int
    true_cases: int
    precision: float | None
    recall: float | None
    p50_ms: int | None
    p99_ms: int | None


class Missed(msgspec.Struct):
    """An instance that a rule should have found."""

    rule: str
    typology: str
    group: dict[str, int | str]
    payment_ids: tuple[str, ...]


class FalseCase(msgspec.Struct):
    """A case of a rule that no instance among its payments names."""

    rule: str
    case_id: str


class Evaluation(msgspec.Struct):
    """`typologies`: per typology and rule; `rules`: per rule, all typologies together; and what went wrong."""

    instances: int
    typologies: list[Score]
    rules: list[Score]
    missed: list[Missed]
    false_cases: list[FalseCase]


class _Tally:
    def __init__(self) -> None:
        self.expected = self.found = self.cases = self.true_cases = 0
        self.waited: list[int] = []

    def score(self, typology: str, rule: str) -> Score:
        return Score(
            typology,
            rule,
            self.expected,
            self.found,
            self.cases,
            self.true_cases,
            self.true_cases / self.cases if self.cases else None,
            self.found / self.expected if self.expected else None,
            percentile(self.waited, 50),
            percentile(self.waited, 99),
        )


def decode_truth(lines: Iterable[bytes], file: str) -> list[Instance]:
    """The instances in a file of the truth; `file` is what errors call it. Raises SettingsError that names the line."""
    decode = msgspec.json.Decoder(Instance).decode
    instances = []
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            instances.append(decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file}: line {number}: {error}") from None
    return instances


def evaluate(instances: Sequence[Instance], cases: Iterable[tuple[str, Found]]) -> Evaluation:
    """Judge the cases that hold payments of the instances' runs; all others are none of our business."""
    at = {payment_id: place for place, instance in enumerate(instances) for payment_id in instance.payment_ids}
    heads = tuple({instance.run for instance in instances})
    cells: defaultdict[tuple[str, str], _Tally] = defaultdict(_Tally)
    rules: defaultdict[str, _Tally] = defaultdict(_Tally)
    found_at: dict[tuple[int, str], int] = {}
    false_cases = []
    for case_id, case in cases:
        if not any(payment_id.startswith(heads) for payment_id in case.payment_ids):
            continue
        places = {at[payment_id] for payment_id in case.payment_ids if payment_id in at}
        true = False
        named: dict[str, bool] = {} if places else {ORDINARY: False}
        for place in places:
            instance = instances[place]
            names_it = case.rule in instance.expected
            named[instance.typology] = named.get(instance.typology, False) or names_it
            true = true or names_it
            known = found_at.get((place, case.rule), case.first_at)
            found_at[place, case.rule] = min(known, case.first_at)
        for typology, names_it in named.items():
            cells[typology, case.rule].cases += 1
            cells[typology, case.rule].true_cases += names_it
        rules[case.rule].cases += 1
        rules[case.rule].true_cases += true
        if not true:
            false_cases.append(FalseCase(case.rule, case_id))
    missed = _count_instances(instances, found_at, cells, rules)
    return Evaluation(
        len(instances),
        [tally.score(typology, rule) for (typology, rule), tally in sorted(cells.items())],
        [tally.score("all", rule) for rule, tally in sorted(rules.items())],
        missed,
        false_cases,
    )


def _count_instances(
    instances: Sequence[Instance],
    found_at: Mapping[tuple[int, str], int],
    cells: defaultdict[tuple[str, str], _Tally],
    rules: defaultdict[str, _Tally],
) -> list[Missed]:
    """Put down for each instance and rule that it names whether it was found; what comes back was not."""
    missed = []
    for place, instance in enumerate(instances):
        for rule in instance.expected:
            found = found_at.get((place, rule))
            for tally in (cells[instance.typology, rule], rules[rule]):
                tally.expected += 1
                if found is not None:
                    tally.found += 1
                    if instance.crossed_at is not None:
                        tally.waited.append(found - instance.crossed_at)
            if found is None:
                missed.append(Missed(rule, instance.typology, instance.group, instance.payment_ids))
    return missed


def percentile(values: Iterable[int], percent: int) -> int | None:
    """The smallest value that at least so many percent of all do not exceed (nearest rank); None of nothing."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1] if ordered else None

"""Scores of rules by pattern: what was found and when, what a reviewer gets to see besides, and how sure that is."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from fraud.evaluation.cases import Cases, JudgedCase, SubjectKey
from fraud.evaluation.shares import Share, percentile, share
from fraud.evaluation.truth import PayeeAccount, TruePattern, Truth

HELD = 0.8
"""A pattern is found by a case that holds at least so much of its payments."""
TRUE = 0.5
"""A case is true if at least so much of its payments belong to crimes."""
IN_TIME_MS = 3_600_000
"""A pattern is found in time if the case that finds it stood there no later after the last payment."""
PER = 100_000
"""Cases are counted per so many payments: what a bank with as many a day gets to see a day."""
PURCHASES = "no pattern"
"""The typology of payments that belong to no pattern."""


class TypologyScore(msgspec.Struct):
    """A typology: how many of its patterns were found, by which rules, and how many hold or touch a case.

    Milliseconds are from a pattern's last payment to the case that finds it, below zero where the case was earlier.
    Of innocent patterns none is to be found: `with_case` are those that somebody has to look at for nothing.
    """

    typology: str
    crime: bool
    patterns: int
    recall: Share
    in_time: int
    with_case: int
    cases: int
    p50_ms: int | None
    p99_ms: int | None
    found_by: dict[str, int]


class RuleScore(msgspec.Struct):
    """A rule: its cases, how many of them are true, and the patterns that it finds, alone or with others."""

    rule: str
    cases: int
    cases_a_day: float | None
    precision: Share
    found: int
    found_alone: int


class Total(msgspec.Struct):
    """All rules together. `subjects` are the accounts that the cases are about: the lines of a queue by subject."""

    payments: int
    patterns: int
    recall: Share
    in_time: int
    cases: int
    cases_a_day: float | None
    subjects: int
    subjects_a_day: float | None
    precision: Share


class Missed(msgspec.Struct, frozen=True):
    """A crime that no case holds; `held` is the greatest part of its payments that one does, 0 to 1."""

    typology: str
    payors: tuple[int, ...]
    payees: tuple[PayeeAccount, ...]
    payment_ids: tuple[str, ...]
    held: float


class FalseCase(msgspec.Struct, frozen=True):
    """A case of which most payments belong to no crime; `typology` is that of most of them."""

    rule: str
    case_id: str
    typology: str


class Evaluation(msgspec.Struct):
    """Everything that can be said of some rules' cases, given the truth."""

    total: Total
    typologies: list[TypologyScore]
    rules: list[RuleScore]
    missed: list[Missed]
    false_cases: list[FalseCase]
    found: frozenset[int] = frozenset()
    """Places in the truth of the patterns that were found."""


class _Tally:
    """Counts that grow while cases go by."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.place_of = {
            payment_id: place for place, pattern in enumerate(truth.patterns) for payment_id in pattern.payment_ids
        }
        self.ids = [frozenset(pattern.payment_ids) for pattern in truth.patterns]
        self.found_at: defaultdict[int, dict[str, int]] = defaultdict(dict)
        self.held = Counter[int]()
        self.with_case = set[int]()
        self.cases_of = Counter[str]()
        self.rule_cases = Counter[str]()
        self.rule_true = Counter[str]()
        self.subjects = set[SubjectKey]()
        self.false_cases: list[FalseCase] = []

    def take(self, case_id: str, case: JudgedCase) -> None:
        patterns = self.truth.patterns
        places = Counter(self.place_of[name] for name in case.payment_ids if name in self.place_of)
        criminal = sum(count for place, count in places.items() if patterns[place].crime)
        true = criminal >= TRUE * len(case.payment_ids) and criminal > 0
        self.rule_cases[case.rule] += 1
        self.rule_true[case.rule] += true
        self.subjects.add(case.subject)
        typology = self._typology(places, len(case.payment_ids))
        self.cases_of[typology] += 1
        if self.truth.is_known and not true:
            self.false_cases.append(FalseCase(case.rule, case_id, typology))
        for place, count in places.items():
            self.held[place] = max(self.held[place], count)
            if count >= TRUE * len(case.payment_ids):
                self.with_case.add(place)
            self._find(place, count, case)

    def _typology(self, places: Counter[int], payments: int) -> str:
        """The typology of most of a case's payments."""
        of = Counter[str]()
        for place, count in places.items():
            of[self.truth.patterns[place].typology] += count
        of[PURCHASES] += payments - of.total()
        return of.most_common(1)[0][0]

    def _find(self, place: int, count: int, case: JudgedCase) -> None:
        pattern, ids = self.truth.patterns[place], self.ids[place]
        least = -(-len(ids) * int(HELD * 100) // 100)
        if pattern.crime and pattern.completed_at is not None and count >= least:
            at_ms = case.held_at(ids, least)
            assert at_ms is not None
            by_rule = self.found_at[place]
            by_rule[case.rule] = min(at_ms, by_rule.get(case.rule, at_ms))

    def delay_ms(self, place: int) -> int:
        """Time from a pattern's last payment to the first case that finds it, in ms."""
        completed_at = self.truth.patterns[place].completed_at
        assert completed_at is not None
        return min(self.found_at[place].values()) - completed_at


def evaluate(truth: Truth, cases: Cases) -> Evaluation:
    """The score of the cases that hold payments of the truth's runs; all others are none of its business."""
    tally, heads = _Tally(truth), truth.heads
    for case_id, case in cases:
        if any(payment_id.startswith(heads) for payment_id in case.payment_ids):
            tally.take(case_id, case)
    crimes = [place for place, pattern in enumerate(truth.patterns) if _is_complete_crime(pattern)]
    return Evaluation(
        _total(tally, crimes),
        _typologies(tally),
        _rules(tally),
        [_missed(tally, place) for place in crimes if place not in tally.found_at],
        tally.false_cases,
        frozenset(tally.found_at),
    )


def _is_complete_crime(pattern: TruePattern) -> bool:
    return pattern.crime and pattern.completed_at is not None


def _total(tally: _Tally, crimes: Sequence[int]) -> Total:
    payments, cases, subjects = tally.truth.payments, tally.rule_cases.total(), len(tally.subjects)
    return Total(
        payments,
        len(crimes),
        share(len(tally.found_at), len(crimes)),
        _in_time(tally, tally.found_at),
        cases,
        _a_day(cases, payments),
        subjects,
        _a_day(subjects, payments),
        _precision(tally, tally.rule_true.total(), cases),
    )


def _typologies(tally: _Tally) -> list[TypologyScore]:
    """Crimes first, then what looks like them, then what belongs to no pattern."""
    places: defaultdict[tuple[bool, str], list[int]] = defaultdict(list)
    for place, pattern in enumerate(tally.truth.patterns):
        if not pattern.crime or pattern.completed_at is not None:
            places[pattern.crime, pattern.typology].append(place)
    scores = [_typology(tally, *key, places[key]) for key in sorted(places, key=lambda key: (not key[0], key[1]))]
    return [*scores, _typology(tally, False, PURCHASES, [])]  # noqa: FBT003


def _typology(tally: _Tally, crime: bool, typology: str, places: Sequence[int]) -> TypologyScore:  # noqa: FBT001
    hits = [place for place in places if place in tally.found_at]
    delays = [tally.delay_ms(place) for place in hits]
    return TypologyScore(
        typology,
        crime,
        len(places),
        share(len(hits), len(places) if crime else 0),
        _in_time(tally, hits),
        sum(place in tally.with_case for place in places),
        tally.cases_of[typology],
        percentile(delays, 50),
        percentile(delays, 99),
        dict(sorted(Counter(rule for place in hits for rule in tally.found_at[place]).items())),
    )


def _rules(tally: _Tally) -> list[RuleScore]:
    hits = Counter(rule for by_rule in tally.found_at.values() for rule in by_rule)
    alone = Counter(rule for by_rule in tally.found_at.values() if len(by_rule) == 1 for rule in by_rule)
    return [
        RuleScore(
            rule,
            cases,
            _a_day(cases, tally.truth.payments),
            _precision(tally, tally.rule_true[rule], cases),
            hits[rule],
            alone[rule],
        )
        for rule, cases in sorted(tally.rule_cases.items())
    ]


def _missed(tally: _Tally, place: int) -> Missed:
    pattern = tally.truth.patterns[place]
    held = tally.held[place] / len(pattern.payment_ids)
    return Missed(pattern.typology, pattern.payors, pattern.payees, pattern.payment_ids, held)


def _in_time(tally: _Tally, places: Iterable[int]) -> int:
    return sum(tally.delay_ms(place) <= IN_TIME_MS for place in places)


def _precision(tally: _Tally, true: int, cases: int) -> Share:
    """The share of true cases; of none where nobody knows which are true."""
    return share(true, cases if tally.truth.is_known else 0)


def _a_day(cases: int, payments: int) -> float | None:
    """Cases a day of a bank that has `PER` payments a day."""
    return cases / payments * PER if payments else None

"""Some rules beside the shipped ones on the same payments: what would be won, and what lost."""

import msgspec

from fraud.evaluation.cases import Cases, SubjectKey
from fraud.evaluation.score import Evaluation, evaluate
from fraud.evaluation.truth import TruePattern, Truth


class CrimeDifference(msgspec.Struct, frozen=True):
    """A crime that the rules of one side alone find."""

    typology: str
    payors: tuple[int, ...]
    payment_ids: tuple[str, ...]


class Flagged(msgspec.Struct, frozen=True):
    """An account about which the rules of one side alone make cases."""

    subject: SubjectKey
    rules: tuple[str, ...]
    cases: int


class Trial(msgspec.Struct):
    """The rules on trial, the shipped ones, and both directions of what changes between them."""

    trial: Evaluation
    shipped: Evaluation
    won: list[CrimeDifference]
    lost: list[CrimeDifference]
    subjects_more: list[Flagged]
    subjects_fewer: list[Flagged]


def compare(truth: Truth, cases: Cases, shipped_cases: Cases) -> Trial:
    """The trial of some rules by their cases, beside the cases of the shipped rules."""
    trial, shipped = evaluate(truth, cases), evaluate(truth, shipped_cases)
    return Trial(
        trial,
        shipped,
        [_difference(truth.patterns[place]) for place in sorted(trial.found - shipped.found)],
        [_difference(truth.patterns[place]) for place in sorted(shipped.found - trial.found)],
        _flagged_alone(cases, shipped_cases),
        _flagged_alone(shipped_cases, cases),
    )


def _difference(pattern: TruePattern) -> CrimeDifference:
    return CrimeDifference(pattern.typology, pattern.payors, pattern.payment_ids)


def _flagged_alone(cases: Cases, others: Cases) -> list[Flagged]:
    """The subjects of `cases` that are not among those of `others`."""
    subjects = {case.subject for _, case in others}
    rules: dict[SubjectKey, list[str]] = {}
    for _, case in cases:
        if case.subject not in subjects:
            rules.setdefault(case.subject, []).append(case.rule)
    return [Flagged(subject, tuple(sorted(set(names))), len(names)) for subject, names in rules.items()]

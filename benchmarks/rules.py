"""The figures of docs/rules.md: what the rules find of a made-up past, before and after, and other thresholds beside.

`python -m benchmarks.rules` writes them anew, between the page's marks, and the curves to the page's picture. The past
is always the same (seed 1), so are the figures.
"""

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.past import lines
from benchmarks.threshold_curves import cases_of, curves
from fraud.evaluation.cases import all_cases
from fraud.evaluation.score import Evaluation, evaluate
from fraud.evaluation.shares import Share
from fraud.evaluation.truth import Truth, decode_truth
from fraud.payment_files import RecordedPayment, decode_line
from fraud.rules import Rule, load

PAGE = Path("docs/rules.md")
CURVES = Path("docs/images/thresholds.svg")
BEFORE = Path("benchmarks/rules_before.toml")
"""The rules as they were until there was a truth to choose them by."""
SEED = 1
PAYMENTS = 100_000


def past(folder: Path, seed: int = SEED, payments: int = PAYMENTS) -> tuple[list[RecordedPayment], Truth]:
    """A made-up past and its truth. Of a payment that was sent again only the first is there: an id counts once."""
    file = folder / "truth.ndjson"
    history = [decode_line(line) for line in lines(file, payments=payments, seed=seed)]
    recorded = {payment.id: payment for payment in reversed(history)}
    with file.open("rb") as truth:
        return sorted(recorded.values(), key=lambda payment: payment.offset), decode_truth(truth, str(file))


def scored(rules: Sequence[Rule], payments: Iterable[RecordedPayment], truth: Truth) -> Evaluation:
    """The score of some rules together."""
    return evaluate(truth, all_cases(cases_of(rules, payments).values()))


def tables(before: Evaluation, after: Evaluation) -> dict[str, str]:
    """The page's tables by the names of their marks."""
    return {"total": _totals(before, after), "typologies": _typologies(before, after), "rules": _rules(before, after)}


def _totals(before: Evaluation, after: Evaluation) -> str:
    rows = [
        ["crimes found", *(f"{total.recall.hits} of {total.patterns}" for total in (before.total, after.total))],
        ["recall (95 % interval)", *(_share(score.total.recall) for score in (before, after))],
        ["found in time", *(str(score.total.in_time) for score in (before, after))],
        ["cases a day", *(f"{score.total.cases_a_day:,.0f}" for score in (before, after))],
        ["accounts a day", *(f"{score.total.subjects_a_day:,.0f}" for score in (before, after))],
        ["cases that are not true, a day", *(f"{_false(score):,.0f}" for score in (before, after))],
        ["precision (95 % interval)", *(_share(score.total.precision) for score in (before, after))],
    ]
    return _table(["of 100,000 payments", "before", "after"], rows)


def _false(evaluation: Evaluation) -> float:
    precision = evaluation.total.precision
    return (precision.total - precision.hits) / evaluation.total.payments * 100_000


def _typologies(before: Evaluation, after: Evaluation) -> str:
    earlier = {score.typology: score for score in before.typologies}
    rows = [
        [
            score.typology if score.crime else f"*{score.typology}*",
            str(score.patterns),
            _share(earlier[score.typology].recall),
            _share(score.recall),
            str(earlier[score.typology].cases),
            str(score.cases),
            ", ".join(f"`{rule}` {count}" for rule, count in score.found_by.items()),
        ]
        for score in after.typologies
    ]
    return _table(["typology", "patterns", "recall before", "after", "cases before", "after", "found by"], rows)


def _rules(before: Evaluation, after: Evaluation) -> str:
    earlier = {score.rule: score for score in before.rules}
    rows = []
    for score in after.rules:
        old = earlier.get(score.rule)
        rows.append(
            [
                f"`{score.rule}`",
                "" if old is None else str(old.cases),
                str(score.cases),
                "" if old is None else _share(old.precision),
                _share(score.precision),
                str(score.found),
                str(score.found_alone),
            ]
        )
    heads = ["rule", "cases before", "after", "precision before", "after", "crimes found", "by it alone"]
    return _table(heads, rows)


def _share(share: Share) -> str:
    return "" if share.value is None else f"{share.value:.2f} ({share.low:.2f} to {share.high:.2f})"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ["---"] * len(heads), *rows])


def filled(page: str, contents: Mapping[str, str]) -> str:
    """The page with new tables between its marks."""
    for name, table in contents.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, count = mark.subn(rf"\g<1>{table}\n\g<2>", page)
        assert count == 1, name
    return page


def main() -> None:
    """Write the page's figures anew."""
    with tempfile.TemporaryDirectory() as folder:
        payments, truth = past(Path(folder))
    contents = tables(scored(load(BEFORE), payments, truth), scored(load(), payments, truth))
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), contents), encoding="utf-8")
    CURVES.write_text(curves(load(), payments, truth), encoding="utf-8")


if __name__ == "__main__":
    main()

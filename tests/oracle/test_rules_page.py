"""The figures of docs/rules.md, found again."""

from pathlib import Path

from benchmarks.rules import BEFORE, PAGE, filled, past, scored, tables
from fraud.rules import load


def test_the_pages_figures_are_those_that_evaluation_gives_and_the_rules_do_better_than_before(tmp_path: Path) -> None:
    payments, truth = past(tmp_path)
    before, after = scored(load(BEFORE), payments, truth), scored(load(), payments, truth)
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page, tables(before, after)) == page
    assert before.total.recall.value is not None
    assert after.total.recall.value is not None
    assert after.total.recall.value >= before.total.recall.value + (1 - before.total.recall.value) / 2
    assert after.total.cases <= 2 * before.total.cases

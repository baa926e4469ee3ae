"""Curves of rules by their thresholds: precision against the share of crimes found, as SVG."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import pygal
from pygal.style import Style

from fraud.evaluation.cases import Cases
from fraud.evaluation.score import evaluate
from fraud.evaluation.truth import Truth
from fraud.payment_files import RecordedPayment
from fraud.replay import Replay
from fraud.rules import Rule
from service.review.drawing import OPTIONS, STYLE

CURVES_STYLE = Style(**STYLE, colors=("#1d4ed8", "#b45309", "#a11616", "#15803d", "#7c3aed"), value_label_font_size=11)
THRESHOLDS: Mapping[str, tuple[str, Sequence[int]]] = {
    "structuring_weeks": ("total_above", (10_000, 20_000, 25_000, 30_000, 40_000)),
    "fan_out": ("min_distinct", (2, 3, 4, 5, 6, 8)),
    "fan_in_few": ("total_above", (10_000, 20_000, 30_000, 40_000)),
    "just_below": ("amount_from", (6_000, 7_000, 8_000, 9_000, 9_500)),
    "velocity": ("min_payments", (5, 10, 12, 15)),
}
"""By rule: the threshold that was chosen by the curve, and the values that were tried."""


def cases_of(rules: Sequence[Rule], payments: Iterable[RecordedPayment]) -> dict[str, Cases]:
    """Per rule, the cases that it makes."""
    cases = {rule.name: Cases() for rule in rules}
    replaying = Replay(rules, "changes")
    for payment in payments:
        for row in replaying.add(payment):
            cases[row.rule].add_row(row)
    return cases


def curves(rules: Sequence[Rule], payments: Sequence[RecordedPayment], truth: Truth) -> str:
    """SVG of each rule alone, by its threshold: precision against the share of crimes that it finds."""
    shipped = {rule.name: rule for rule in rules}
    variants = {
        (name, value): _with(shipped[name], key, value, f"v{number}")
        for name, (key, values) in THRESHOLDS.items()
        for number, value in enumerate(values, 100 * list(THRESHOLDS).index(name))
    }
    cases = cases_of(list(variants.values()), payments)
    chart: Any = pygal.XY(
        **OPTIONS,
        style=CURVES_STYLE,
        width=760,
        height=460,
        print_labels=True,
        legend_at_bottom_columns=2,
        x_title="share of all crimes that the rule finds alone",
        y_title="precision of its cases",
        range=(0, 1),
        xrange=(0, 0.3),
        value_formatter=lambda share: f"{share:.0%}",
        x_value_formatter=lambda share: f"{share:.0%}",
    )
    for name, (key, values) in THRESHOLDS.items():
        points = []
        for value in values:
            total = evaluate(truth, cases[variants[name, value].name]).total
            points.append({"value": (total.recall.value, total.precision.value), "label": f"{value:,}"})
        chart.add(f"{name}, by {key}", points, stroke_style={"width": 2})
    svg: str = chart.render()
    return svg


def _with(rule: Rule, key: str, value: int, name: str) -> Rule:
    """The rule with another threshold, under another name."""
    if key == "min_distinct":
        assert rule.min_distinct is not None
        return msgspec.structs.replace(
            rule, name=name, min_distinct=msgspec.structs.replace(rule.min_distinct, count=value)
        )
    return msgspec.structs.replace(rule, name=name, **{key: float(value) if key == "amount_from" else value})

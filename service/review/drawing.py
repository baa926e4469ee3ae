"""Payments in time against the $10,000 line, as SVG; and the look that all our charts have."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

import pygal
from pygal.style import Style

# pygal leaves an importer of the old kind behind, on which whatever is imported next would stumble: hence nothing here.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != pygal.__name__]

HOUR = 3600
LINE = 10_000
"""Dollars; above that a report is due (31 CFR 1010.311)."""
STYLE: dict[str, Any] = {
    "background": "#ffffff",
    "plot_background": "#ffffff",
    "font_family": "system-ui, sans-serif",
    "opacity": 1,
    "transition": "none",
}
"""The style of any chart."""
OPTIONS: dict[str, Any] = {
    "js": (),
    "legend_at_bottom": True,
    "dots_size": 4,
    "disable_xml_declaration": True,
    "no_prefix": True,
}
"""Options of any chart: SVG to stand in a page, without scripts."""
PAYMENTS_STYLE = Style(
    **STYLE,
    foreground="#535b69",
    foreground_strong="#14181f",
    foreground_subtle="#d9dde3",
    guide_stroke_color="#eceef1",
    major_guide_stroke_color="#e3e6eb",
    guide_stroke_dasharray="none",
    major_guide_stroke_dasharray="none",
    colors=("#1d4ed8", "#b45309", "#a11616"),
    label_font_size=12,
    major_label_font_size=12,
    legend_font_size=12,
)
DARK = """@media (prefers-color-scheme: dark) {
.graph > .background, .plot > .background { fill: #171a20 }
.graph, .axis text, .legends .legend text { fill: #a7afbd }
.axis text.major { fill: #e8eaee }
.axis .line { stroke: #a7afbd }
.axis .guide.line, .axis .major.guide.line { stroke: #31363f }
.color-0 { stroke: #8ab0ff; fill: #8ab0ff }
.color-1 { stroke: #f4c274; fill: #f4c274 }
.color-2 { stroke: #ffa3a3; fill: #ffa3a3 }
}"""
"""The colours of the page's dark theme: an image, too, knows which one its reader wants."""
NARROW = "@media (max-width: 420px) { .axis text, .legends .legend text { font-size: 16px } }"
"""Letters that can be read where the image is shown at half its width: on a phone."""


def draw(payments: Sequence[tuple[int, float]]) -> str:
    """SVG of payments, as (ms since the epoch, dollars): what they add up to, each by itself, and the line."""
    dated = sorted(payments)
    times = [at / 1000 for at, _ in dated]
    sums = list(accumulate(amount for _, amount in dated))
    # Each payment is a step: up to its moment the sum is what it was before.
    before = [0.0, *sums]
    steps = [point for at, low, high in zip(times, before, sums, strict=False) for point in ((at, low), (at, high))]
    ends = (times[0], times[-1] if times[-1] > times[0] else times[0] + 1)
    precision = "%d %b %H:%M" if ends[1] - ends[0] > HOUR else "%H:%M:%S"
    chart: Any = pygal.XY(
        **OPTIONS,
        style=PAYMENTS_STYLE,
        css=(*pygal.Config.css.value, f"inline:{DARK}", f"inline:{NARROW}"),
        width=600,
        height=300,
        show_dots=False,
        legend_at_bottom_columns=3,
        show_x_guides=False,
        x_value_formatter=lambda at: datetime.fromtimestamp(at, UTC).strftime(precision),
        value_formatter=lambda dollars: f"${dollars:,.0f}",
        x_labels=[ends[0] + (ends[1] - ends[0]) * part / 2 for part in range(3)],
        y_labels_major_count=4,
        show_minor_y_labels=False,
        range=(0, max(sums[-1], LINE) * 1.05),
        margin=10,
        margin_right=44,
    )
    chart.add("together", steps, stroke_style={"width": 2.5})
    chart.add(
        "each payment", list(zip(times, (amount for _, amount in dated), strict=True)), stroke=False, show_dots=True
    )
    chart.add("$10,000", [(ends[0], LINE), (ends[1], LINE)], stroke_style={"width": 1.5, "dasharray": "6, 4"})
    svg: str = chart.render()
    return svg

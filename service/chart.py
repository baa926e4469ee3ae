"""A case's payments in time against the $10,000 line, as SVG: GET /review-queue/{case_id}/chart.svg."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

import msgspec
import pygal
from aiohttp import web
from pygal.style import Style

from service import queue_pages
from service.review_queue import no_such_case, read_view

# pygal leaves an importer of the old kind behind, on which other people's imports would stumble.
sys.meta_path[:] = [each for each in sys.meta_path if type(each).__module__ != pygal.__name__]

HOUR = 3600
LINE = 10_000
"""Dollars; above that a report is due (31 CFR 1010.311)."""
HEADERS = {
    "Cache-Control": "private, max-age=3600",
    # A drawing runs no script and fetches nothing, also where it is opened by itself.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
STYLE = Style(
    background="#ffffff",
    plot_background="#ffffff",
    foreground="#535b69",
    foreground_strong="#14181f",
    foreground_subtle="#d9dde3",
    guide_stroke_color="#eceef1",
    major_guide_stroke_color="#e3e6eb",
    guide_stroke_dasharray="none",
    major_guide_stroke_dasharray="none",
    opacity=1,
    colors=("#1d4ed8", "#b45309", "#a11616"),
    font_family="system-ui, sans-serif",
    label_font_size=12,
    major_label_font_size=12,
    legend_font_size=12,
    transition="none",
)


async def show_chart(request: web.Request) -> web.Response:
    """The drawing; a case has it as long as it lists payments with their times."""
    case = await read_view(request.app, queue_pages.case, request.match_info["case_id"])
    payments = msgspec.json.decode(case["payments"]) if case else []
    listed = [(each["timestamp"], each["payment_amount"]) for each in payments if "timestamp" in each]
    if not listed:
        raise no_such_case()
    body = await asyncio.to_thread(draw, listed)
    return web.Response(text=body, content_type="image/svg+xml", headers=HEADERS)


def draw(payments: Sequence[tuple[int, float]]) -> str:
    """SVG of payments, as (ms since the epoch, dollars): what they add up to, each by itself, and the line."""
    made = sorted(payments)
    times = [at / 1000 for at, _ in made]
    sums = list(accumulate(amount for _, amount in made))
    # Each payment is a step: up to its moment the sum is what it was before.
    before = [0.0, *sums]
    steps = [point for at, low, high in zip(times, before, sums, strict=False) for point in ((at, low), (at, high))]
    ends = (times[0], times[-1] if times[-1] > times[0] else times[0] + 1)
    precision = "%d %b %H:%M" if ends[1] - ends[0] > HOUR else "%H:%M:%S"
    chart: Any = pygal.XY(
        style=STYLE,
        js=(),
        width=600,
        height=300,
        show_dots=False,
        legend_at_bottom=True,
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
        dots_size=4,
        disable_xml_declaration=True,
        no_prefix=True,
    )
    chart.add("together", steps, stroke_style={"width": 2.5})
    chart.add(
        "each payment", list(zip(times, (amount for _, amount in made), strict=True)), stroke=False, show_dots=True
    )
    chart.add("$10,000", [(ends[0], LINE), (ends[1], LINE)], stroke_style={"width": 1.5, "dasharray": "6, 4"})
    drawn: str = chart.render()
    return drawn

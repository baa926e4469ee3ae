"""Payments as a drawing: readable in both themes, and the same sums in whatever order they come."""

import re
from xml.etree import ElementTree as ET

from service.review.drawing import DARK, PAYMENTS_STYLE, draw

NOON = 1_795_492_800_000
PAYMENTS = [(NOON, 4000.0), (NOON + 60_000, 4000.01), (NOON + 7_200_000, 4000.02)]
SVG = "{http://www.w3.org/2000/svg}"


def style_of(drawing: str) -> str:
    return "".join(style.text or "" for style in ET.fromstring(drawing).iter(f"{SVG}style"))


def test_the_dark_theme_comes_last_and_replaces_each_colour_of_the_light_one() -> None:
    style = style_of(draw(PAYMENTS))
    light, _, dark = style.partition("@media")
    assert PAYMENTS_STYLE.plot_background in light
    assert re.match(r"\s*\(prefers-color-scheme:\s*dark\)", dark)
    assert PAYMENTS_STYLE.plot_background not in dark
    for number in range(len(PAYMENTS_STYLE.colors)):
        assert f".color-{number}" in light
        assert f".color-{number}" in DARK


def test_the_order_in_which_payments_come_changes_nothing() -> None:
    one, other = draw(PAYMENTS), draw(PAYMENTS[::-1])
    assert re.findall(r' d="([^"]+)"', one) == re.findall(r' d="([^"]+)"', other)


def test_a_single_payment_is_drawn_too() -> None:
    drawing = ET.fromstring(draw(PAYMENTS[:1]))
    assert len(list(drawing.iter(f"{SVG}circle"))) == 1

"""The pages work wherever a proxy puts them."""

import re
from importlib import resources

import pytest

from service.http.docs import PAGE, START

FILES = {
    file.name: file.read_text(encoding="utf-8")
    for file in resources.files("service").joinpath("web").iterdir()
    if file.name.endswith((".html", ".js", ".css"))
} | {"docs": PAGE, "start.js": START}
FROM_THE_ROOT = re.compile(r"""(?:href|src|action)\s*=\s*["']/|["'`(]/(?:\?|[a-z][\w-]*(?:[/?.]|["'`)]))""")


@pytest.mark.parametrize("name", FILES)
def test_no_page_and_no_script_names_an_address_from_the_root(name: str) -> None:
    assert FROM_THE_ROOT.findall(FILES[name]) == []


def test_the_description_s_addresses_are_beside_it() -> None:
    text = resources.files("service").joinpath("openapi.yaml").read_text(encoding="utf-8")
    assert "servers:\n  - url: ./\n" in text

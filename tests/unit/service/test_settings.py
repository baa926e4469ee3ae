"""Settings that cannot work are refused at the start, with what to look at."""

from pathlib import Path
from typing import Any

import pytest

from schemas.errors import SettingsError
from service.access.opaque_tokens import new_token, read_tokens
from service.settings import ServiceSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("deadline", 0.5),
        *((name, float("nan")) for name in ("deadline", "body_timeout", "header_timeout", "rate_limit", "linger_ms")),
        ("keepalive_timeout", float("inf")),
        ("service_port", 70_000),
        ("service_port", -1),
        ("queue_view", Path()),
        ("queue_view", Path("/")),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        ServiceSettings(**{name: value})


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101, "\udcff"])
def test_no_token_is_made_for_a_name_that_the_file_may_not_have(name: str) -> None:
    with pytest.raises(SettingsError, match="name"):
        new_token(name, ("reviews:read",))


@pytest.mark.parametrize("name", ["ann", 'Ann "the hand" O\'Neill', "é" * 100])
def test_a_token_that_is_made_can_be_read(name: str, tmp_path: Path) -> None:
    file = tmp_path / "access.toml"
    file.write_text(new_token(name, ("reviews:read", "reviews:write"))[1], encoding="utf-8")
    [entry] = read_tokens(file).values()
    assert entry.name == name

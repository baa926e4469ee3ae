"""Settings that cannot work are refused at the start, with what to look at."""

from pathlib import Path
from typing import Any

import pytest

from schemas.errors import SettingsError
from service.settings import ServiceSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("deadline", 0.5),
        *((name, float("nan")) for name in ("deadline", "body_timeout", "header_timeout", "rate_limit", "linger_ms")),
        ("keepalive_timeout", float("inf")),
        ("report_due_days", 10**12),
        ("service_port", 70_000),
        ("service_port", -1),
        ("queue_view", Path()),
        ("queue_view", Path("/")),
        ("queue_view", Path(__file__).parent),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        ServiceSettings(**{name: value})

"""Settings of a fraud process that cannot work are refused at once, by name."""

import pytest

from fraud.settings import FraudSettings
from schemas.errors import SettingsError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fraud_commit_interval_ms", 0),
        ("fraud_session_timeout_ms", 0),
        ("fraud_retry_seconds", -1),
        ("fraud_drift_seconds", -1),
        ("fraud_drift_seconds", float("nan")),
        ("fraud_drift_seconds", float("inf")),
        ("fraud_metrics_port", 99_999),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be"):
        FraudSettings(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("fraud_retry_seconds", 0), ("fraud_metrics_port", 0)])
def test_the_least_that_works_is_taken(name: str, value: int) -> None:
    assert getattr(FraudSettings(**{name: value}), name) == value

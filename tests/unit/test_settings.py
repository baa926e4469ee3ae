"""Settings that cannot work are refused at once, by name, with what to write."""

from pathlib import Path
from typing import Any

import pytest

from fraud.settings import FraudSettings
from schemas.errors import SettingsError
from schemas.kafka.settings import KafkaSettings
from schemas.registry import RegistrySettings
from schemas.secrets import secret


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (FraudSettings, "fraud_commit_interval_ms", 0),
        (FraudSettings, "fraud_session_timeout_ms", 0),
        (FraudSettings, "fraud_retry_seconds", -1),
        (FraudSettings, "fraud_drift_seconds", -1),
        (FraudSettings, "fraud_drift_seconds", float("nan")),
        (FraudSettings, "fraud_metrics_port", 99_999),
        (KafkaSettings, "kafka_bootstrap_servers", ""),
        (KafkaSettings, "kafka_bootstrap_servers", "localhost:9O92"),
        (KafkaSettings, "kafka_bootstrap_servers", "localhost:99999"),
        (KafkaSettings, "kafka_bootstrap_servers", "localhost:9092,"),
        (RegistrySettings, "schema_registry_url", ""),
        (RegistrySettings, "schema_registry_url", "127.0.0.1:8081"),
        (RegistrySettings, "schema_registry_url", "http://[::1:8081"),
        (RegistrySettings, "schema_registry_url", "http://localhost:99999"),
        (RegistrySettings, "schema_registry_url", "http://:8081"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(kind: Any, name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be"):
        kind(**{name: value})


@pytest.mark.parametrize(
    "servers", ["kafka", "kafka:9092", "127.0.0.1:9092,[::1]:9093", "kafka-0.kafka:9092, kafka-1:9"]
)
def test_any_way_to_name_brokers_is_taken(servers: str) -> None:
    assert KafkaSettings(kafka_bootstrap_servers=servers).client_options()["bootstrap_servers"] == servers


def test_a_password_file_that_is_not_text_is_said(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"\xff")
    with pytest.raises(SettingsError, match=f"KAFKA_PASSWORD_FILE: {file} is not UTF-8"):
        secret("KAFKA_PASSWORD", file)

"""Settings of Kafka: what cannot work is refused at once, by name; the rest becomes a client's options."""

from pathlib import Path

import pytest

from schemas.errors import SettingsError
from schemas.kafka.settings import KafkaSettings


@pytest.mark.parametrize("servers", ["", "localhost:9O92", "localhost:99999", "localhost:9092,"])
def test_brokers_that_are_none_are_refused_by_name(servers: str) -> None:
    with pytest.raises(SettingsError, match="kafka_bootstrap_servers must be"):
        KafkaSettings(kafka_bootstrap_servers=servers)


@pytest.mark.parametrize(
    "servers", ["kafka", "kafka:9092", "127.0.0.1:9092,[::1]:9093", "kafka-0.kafka:9092, kafka-1:9"]
)
def test_any_way_to_name_brokers_is_taken(servers: str) -> None:
    assert KafkaSettings(kafka_bootstrap_servers=servers).client_options()["bootstrap_servers"] == servers


def test_a_key_without_its_certificate_is_refused() -> None:
    with pytest.raises(SettingsError, match="kafka_certificate_file"):
        KafkaSettings(kafka_key_file=Path("key.pem"))


def test_without_security_nothing_is_said_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "of nobody")
    assert KafkaSettings().client_options() == {
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "PLAINTEXT",
    }


def test_a_password_comes_from_its_file_or_the_environment_with_the_user_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("from the file\n")
    monkeypatch.delenv("KAFKA_PASSWORD", raising=False)
    settings = KafkaSettings(kafka_security_protocol="SASL_PLAINTEXT", kafka_username="ann", kafka_password_file=file)
    options = settings.client_options()
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("ann", "from the file")
    assert options["sasl_mechanism"] == "PLAIN"
    assert "ssl_context" not in options


def test_who_signs_in_needs_a_name() -> None:
    with pytest.raises(SettingsError, match="KAFKA_USERNAME"):
        KafkaSettings(kafka_security_protocol="SASL_SSL").client_options()


def test_who_signs_in_by_token_needs_one_and_no_name(tmp_path: Path) -> None:
    file = tmp_path / "token"
    settings = KafkaSettings(
        kafka_security_protocol="SASL_SSL", kafka_sasl_mechanism="OAUTHBEARER", kafka_token_file=file
    )
    with pytest.raises(SettingsError, match="KAFKA_TOKEN_FILE"):
        settings.client_options()
    file.write_text("token")
    assert "sasl_plain_username" not in settings.client_options()


def test_tls_trusts_the_authorities_of_the_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(SettingsError, match="KAFKA_CA_FILE"):
        KafkaSettings(kafka_security_protocol="SSL", kafka_ca_file=file).client_options()
    assert KafkaSettings(kafka_security_protocol="SSL").client_options()["ssl_context"].check_hostname

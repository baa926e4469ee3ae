"""How to reach Kafka: one set of settings for every client of this project."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aiokafka.helpers import create_ssl_context
from cyclopts import Parameter

from schemas.errors import SettingsError


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class KafkaSettings:
    """Where Kafka is and how to prove who we are. The password comes from KAFKA_PASSWORD or a file, never a flag."""

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    """Brokers to ask first, host:port, separated by commas."""

    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How the connection is secured."""

    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """How to authenticate, with SASL_PLAINTEXT or SASL_SSL."""

    kafka_username: str | None = None
    """User name for SASL; the password is read from KAFKA_PASSWORD or --kafka-password-file."""

    kafka_password_file: Path | None = None
    """File that holds the SASL password."""

    kafka_ca_file: Path | None = None
    """PEM file of the authorities that sign the brokers' certificates; without it the system's own."""

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments for any aiokafka client; raises SettingsError."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap_servers,
            "security_protocol": self.kafka_security_protocol,
        }
        if "SSL" in self.kafka_security_protocol.split("_"):
            options["ssl_context"] = create_ssl_context(cafile=self.kafka_ca_file)
        if self.kafka_security_protocol.startswith("SASL"):
            if not self.kafka_username:
                raise SettingsError(f"{self.kafka_security_protocol} needs a user name: set KAFKA_USERNAME")
            options["sasl_mechanism"] = self.kafka_sasl_mechanism
            options["sasl_plain_username"] = self.kafka_username
            options["sasl_plain_password"] = secret("KAFKA_PASSWORD", self.kafka_password_file)
        return options


def secret(variable: str, file: Path | None) -> str:
    """A secret from a file, or else from the environment; raises SettingsError that names both ways."""
    if file is None:
        value = os.environ.get(variable, "")
    else:
        try:
            value = file.read_text().strip()
        except OSError as error:
            raise SettingsError(f"{variable}_FILE: cannot read {file}: {error.strerror}") from None
    if not value:
        raise SettingsError(f"no password: set {variable}, or name a file that holds it in {variable}_FILE")
    return value

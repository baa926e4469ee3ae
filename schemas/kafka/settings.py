"""Settings by which every client of this project reaches Kafka."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aiokafka.conn import collect_hosts
from cyclopts import Parameter

from schemas.errors import SettingsError
from schemas.kafka.header_keys import tolerate_any
from schemas.kafka.tokens import TokenFile, hear_refusals
from schemas.secrets import present, secret, trust

# Here, because no client of Kafka is made without this module.
tolerate_any()
hear_refusals()


LAST_PORT = 65_535


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class KafkaSettings:
    """Address of Kafka, and the proof of who we are. The password comes from KAFKA_PASSWORD or a file, never a flag."""

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    """Brokers to ask first, host:port, separated by commas."""

    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Security of the connection."""

    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = "PLAIN"
    """Way to authenticate, with SASL_PLAINTEXT or SASL_SSL."""

    kafka_username: str | None = None
    """User name for SASL; the password is read from KAFKA_PASSWORD or --kafka-password-file."""

    kafka_password_file: Path | None = None
    """File that holds the SASL password."""

    kafka_token_file: Path | None = None
    """File that holds the token for OAUTHBEARER; read anew for each connection."""

    kafka_ca_file: Path | None = None
    """PEM file of the authorities that sign the brokers' certificates; without it the system's own."""

    kafka_certificate_file: Path | None = None
    """PEM file of the certificate that shows the brokers who we are, where they ask for one, and what leads to its
    authority."""

    kafka_key_file: Path | None = None
    """PEM file with that certificate's key, not encrypted; without it the key is in the certificate's file."""

    def __post_init__(self) -> None:
        """Raises SettingsError for a key to nothing, and for brokers that are none."""
        try:
            brokers = collect_hosts(self.kafka_bootstrap_servers)
        except ValueError:
            brokers = []
        if not brokers or not all(host and 0 < port <= LAST_PORT for host, port, _ in brokers):
            raise SettingsError("kafka_bootstrap_servers must be HOST:PORT, or several of them separated by commas")
        if self.kafka_key_file and not self.kafka_certificate_file:
            raise SettingsError("kafka_key_file is the key to a kafka_certificate_file, and there is none")

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments for any aiokafka client; raises SettingsError."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap_servers,
            "security_protocol": self.kafka_security_protocol,
        }
        if "SSL" in self.kafka_security_protocol.split("_"):
            options["ssl_context"] = trust(self.kafka_ca_file, "KAFKA_CA_FILE")
            if self.kafka_certificate_file:
                present(options["ssl_context"], self.kafka_certificate_file, self.kafka_key_file)
        if self.kafka_security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.kafka_sasl_mechanism
            options |= self._credentials()
        return options

    def _credentials(self) -> dict[str, Any]:
        if self.kafka_sasl_mechanism == "OAUTHBEARER":
            return {"sasl_oauth_token_provider": TokenFile(self.kafka_token_file)}
        if not self.kafka_username:
            raise SettingsError(f"{self.kafka_security_protocol} needs a user name: set KAFKA_USERNAME")
        return {
            "sasl_plain_username": self.kafka_username,
            "sasl_plain_password": secret("KAFKA_PASSWORD", self.kafka_password_file),
        }

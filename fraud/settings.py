"""Settings of the fraud processes, and those that the service and the commands share with them."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cyclopts import Parameter

from schemas.errors import SettingsError
from schemas.kafka.provisioning import TopicSettings
from schemas.kafka.settings import LAST_PORT, KafkaSettings
from schemas.logs import LogSettings
from schemas.registry import RegistrySettings

EngineChoice = Literal["ksqldb", "streams", "none"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class InstallationSettings:
    """Name of the installation, of those on one Kafka."""

    fraud_app: str = "underten"
    """Name of the installation: prefix of consumer groups and transactional ids."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RulesSettings:
    """The rules in force."""

    fraud_rules: Path | None = None
    """File with the rules; without it those that are shipped."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """The second engine, which the rules run on beside Python."""

    engine: EngineChoice | None = None
    """Second engine: ksqldb, at KSQLDB_URL; streams, which the local stack starts; none. Without it ksqldb where
    KSQLDB_URL is set."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FraudSettings(RulesSettings, InstallationSettings):
    """Settings of the stages. Every worker of one installation has the same name, rules and commit interval."""

    fraud_commit_interval_ms: int = 100
    """Time between two transactions of a task."""

    fraud_session_timeout_ms: int = 10_000
    """Silence of a worker after which its tasks go to another."""

    fraud_retry_seconds: float = 0.5
    """Pause before starting over after an error; doubled for each error in a row, up to 30 s."""

    fraud_drift_seconds: float = 300.0
    """Time between payments that a batch may span while catching up (half a rule's grace, at most)."""

    fraud_metrics_host: str = "127.0.0.1"
    """Address of the metrics and of /health."""

    fraud_metrics_port: int = 8001
    """Port of the metrics and of /health."""

    def __post_init__(self) -> None:
        """Raises SettingsError for what cannot work."""
        least = {
            "fraud_commit_interval_ms": 1,
            "fraud_session_timeout_ms": 1000,
            "fraud_retry_seconds": 0,
            "fraud_drift_seconds": 0,
        }
        for name, at_least in least.items():
            if not at_least <= getattr(self, name) < math.inf:
                raise SettingsError(f"{name} must be at least {at_least}")
        if not 0 <= self.fraud_metrics_port <= LAST_PORT:
            raise SettingsError(f"fraud_metrics_port must be between 0 and {LAST_PORT}")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that a fraud process needs to know."""

    fraud: FraudSettings = field(default_factory=FraudSettings)
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    topics: TopicSettings = field(default_factory=TopicSettings)
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    logs: LogSettings = field(default_factory=LogSettings)

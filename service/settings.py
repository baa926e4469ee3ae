"""Every setting of the service, in one place: each field is a flag and an environment variable (`service_port` is
--service-port and SERVICE_PORT). Secrets have no flag: see `schemas.secrets`.
"""

import math
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aiohttp import web
from cyclopts import Parameter

from fraud.ksqldb.client import KsqldbSettings
from fraud.rules import Rule
from fraud.settings import EngineSettings, InstallationSettings, RulesSettings
from schemas.errors import SettingsError
from schemas.kafka.provisioning import TopicSettings
from schemas.kafka.settings import LAST_PORT, KafkaSettings
from schemas.logs import LogSettings
from schemas.registry import RegistrySettings
from service.access_settings import AccessSettings, is_loopback

MIB = 1024 * 1024
MAX_REPORT_DUE_DAYS = 36_525


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ServiceSettings(RulesSettings, InstallationSettings):
    """Addresses, limits and times of the service."""

    service_host: str = "127.0.0.1"
    """Address to listen on."""

    service_port: int = 8000
    """Port to listen on; 0 takes a free one (with one worker only)."""

    share_port: bool = False
    """Let another service listen on the port, too, and take over: this one does so once it is ready."""

    workers: int = 1
    """Processes that share the port (SO_REUSEPORT); each has its own producer and its own view file."""

    deadline: float = 10.0
    """Seconds within which every payment that was posted is answered."""

    linger_ms: float = 2.0
    """Milliseconds that the first payment of a Kafka batch waits for company."""

    max_batch_bytes: int = 262_144
    """Largest batch sent to one partition; never above the topics' own max.message.bytes."""

    max_in_flight: int = 50_000
    """Payments that may wait for Kafka at once; one more is answered 503."""

    max_in_flight_bytes: int = 64 * MIB
    """Bytes of payments that may wait for Kafka at once, and bytes of batch bodies that may be in memory at once."""

    max_payment_bytes: int = 64 * 1024
    """Largest body of one payment, and longest line of a batch."""

    max_ndjson_bytes: int = 8 * MIB
    """Largest body of a batch (application/x-ndjson)."""

    max_ndjson_lines: int = 10_000
    """Most lines in a batch."""

    body_timeout: float = 10.0
    """Seconds within which a request's body must have arrived."""

    header_timeout: float = 10.0
    """Seconds within which a new connection's first request must have begun, with all of its headers."""

    keepalive_timeout: float = 75.0
    """Seconds within which a connection's next request must have begun, with all of its headers."""

    max_connections: int = 10_000
    """Connections that each worker keeps open at once, if it may open as many files; one more is closed."""

    rate_limit: float = 0.0
    """Payments a second from each token, or address where there are none, in equal shares of the workers; 0: any."""

    replay_seconds: int = 600
    """Seconds for which a payment that is sent again with its id gets its first receipt; 0: it is produced again."""

    samples: bool = True
    """Let GET on a payment address produce a sample payment."""

    queue_view: Path = Path(".local/review_queue.sqlite")
    """SQLite file of the review queue; a process that finds it in use puts the next free number before the suffix."""

    service_tls_certificate: Path | None = None
    """PEM file with the service's certificate and what leads to its authority; with it, HTTPS is spoken."""

    service_tls_key: Path | None = None
    """PEM file with the certificate's key, not encrypted."""

    report_due_days: int = 30
    """Days from the time at which a case fired to that at which a report on its subject is due."""

    four_eyes: float = 0.0
    """Dollars above which a second reviewer must agree before a case is cleared or escalated; 0: never."""

    log_views: bool = True
    """Say in the log, and on the topic `review_views`, who looked at which subject, case, report or table."""

    access_log: Literal["off", "errors", "all"] = "errors"
    """Requests that are logged: none, those answered with 4xx or 5xx, or every one."""

    def __post_init__(self) -> None:
        """Raises SettingsError for what cannot work."""
        if (self.service_tls_certificate is None) != (self.service_tls_key is None):
            raise SettingsError("service_tls_certificate and service_tls_key go together")
        self._at_least(1, "deadline", "body_timeout", "header_timeout", "keepalive_timeout", unit=" second")
        self._at_least(1, "workers", "max_in_flight", "max_in_flight_bytes", "max_batch_bytes", "max_payment_bytes")
        self._at_least(1, "max_ndjson_bytes", "max_ndjson_lines", "max_connections")
        self._at_least(0, "replay_seconds", "rate_limit", "report_due_days", "four_eyes")
        if self.max_in_flight_bytes < self.max_ndjson_bytes:
            raise SettingsError(
                "max_in_flight_bytes must be at least max_ndjson_bytes, or no full batch could ever pass"
            )
        if self.report_due_days > MAX_REPORT_DUE_DAYS:
            raise SettingsError(f"report_due_days must be at most {MAX_REPORT_DUE_DAYS}")
        if not 0 <= self.linger_ms <= 1000:
            raise SettingsError("linger_ms must be between 0 and 1000")
        if not 0 <= self.service_port <= LAST_PORT:
            raise SettingsError(f"service_port must be between 0 and {LAST_PORT}")
        if not self.queue_view.name or self.queue_view.is_dir():
            raise SettingsError(f"queue_view must name a file: {self.queue_view} is a folder")
        if self.workers > 1 and self.service_port == 0:
            raise SettingsError("service_port 0 would give each worker another port: name one")

    def _at_least(self, least: float, *names: str, unit: str = "") -> None:
        for name in names:
            if not least <= getattr(self, name) < math.inf:  # nan is in no order, and would never be over
                raise SettingsError(f"{name} must be at least {least}{unit}, and finite")

    def tls(self) -> ssl.SSLContext | None:
        """TLS for HTTPS, None for HTTP; raises SettingsError for files that are no certificate and its key."""
        if self.service_tls_certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.service_tls_certificate, self.service_tls_key)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"service_tls_certificate, service_tls_key: {error}") from None
        return context

    @property
    def shares_port(self) -> bool:
        """True where other processes listen on the same port."""
        return self.share_port or self.workers > 1

    @property
    def decisions_folder(self) -> Path:
        """Folder in which all processes of this service say how far they have written decisions."""
        return self.queue_view.with_suffix(".decisions") / str(self.service_port)

    @property
    def receipts_folder(self) -> Path:
        """Folder of the receipts of the last minutes, of all processes of this service: those of one port."""
        return self.queue_view.with_suffix(".receipts") / str(self.service_port)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that the service needs to know."""

    service: ServiceSettings = field(default_factory=ServiceSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    topics: TopicSettings = field(default_factory=TopicSettings)
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    ksqldb: KsqldbSettings = field(default_factory=KsqldbSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    logs: LogSettings = field(default_factory=LogSettings)

    def __post_init__(self) -> None:
        """Raises SettingsError for a service that other machines reach and that asks nobody who he is."""
        host = self.service.service_host
        if not (self.access.controlled or self.access.open_access or is_loopback(host)):
            raise SettingsError(
                f"service_host {host} is open to other machines, and neither access_file nor jwt_keys says who may do "
                "what; `python -m service token` makes a file's entries. Where the network lets in only who may: "
                "open_access"
            )


SETTINGS = web.AppKey("settings", Settings)
RULES = web.AppKey("rules", tuple[Rule, ...])

"""Status of a second engine: which one it is, and how far it has read."""

from typing import Protocol

import msgspec

RUNNING = "RUNNING"
NOT_RUNNING = "NOT_RUNNING"
REBALANCING = "REBALANCING"
"""The words of Kafka Streams and ksqlDB, as far as they have the same; ksqlDB's queries have others besides."""


class EngineStatus(msgspec.Struct, frozen=True):
    """An engine at a moment. `lag` is in records, None where nobody can say; `version`, too."""

    name: str
    version: str | None
    state: str
    lag: int | None
    reason: str | None = None
    """Reason why it is not running; None if it is."""

    @property
    def obstacle(self) -> str | None:
        """Reason why its windows cannot be compared; None if it runs and has read everything."""
        return self.reason or (f"{self.name} has {self.lag} records to read" if self.lag else None)

    def as_json(self) -> dict[str, str | int | None]:
        """The status as GET /comparison and GET /status have it."""
        return {"name": self.name, "version": self.version, "state": self.state, "lag": self.lag}


class SecondEngine(Protocol):
    """An engine that runs the same rules beside Python, and writes its windows to the sink topics."""

    name: str

    async def status(self) -> EngineStatus:
        """The engine now, reached or not; raises KafkaError."""

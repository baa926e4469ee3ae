"""Kafka and a schema registry for a benchmark, on free ports, in a folder that goes with them."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import stamina
import structlog

from compose.addresses import free_port
from compose.child import Child
from compose.kafka import start_kafka
from compose.registry import API, start_registry
from schemas.kafka.settings import KafkaSettings
from schemas.registry import RegistrySettings

PARTS = Path(".local/parts")


@dataclass(frozen=True)
class Servers:
    """Addresses of the servers; programs that `start` starts beside them end with them."""

    home: Path
    kafka: KafkaSettings
    registry: RegistrySettings
    broker: Child
    running: ExitStack
    started: dict[str, Child] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for processes of ours."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.kafka_bootstrap_servers,
            "SCHEMA_REGISTRY_URL": self.registry.schema_registry_url,
            "LOG_FORMAT": "json",
        }

    def start(self, name: str, command: list[str], **environment: str) -> Child:
        """A process beside them, with its log in `home`."""
        child = Child(name, command, self.home / f"{name}.log", {**self.environment, **environment})
        self.running.callback(child.stop)
        self.started[name] = child
        return child


@contextmanager
def servers() -> Iterator[Servers]:
    """Both, until the end of the block."""
    with TemporaryDirectory(prefix="underten-bench-") as folder, ExitStack() as running:
        home = Path(folder)
        kafka, registry = free_port(), free_port()
        log = home / "kafka.log"
        broker = start_kafka(home / "kafka", port=kafka, controller_port=free_port(), parts=PARTS, log=log)
        running.callback(broker.stop)
        log = home / "registry.log"
        running.callback(start_registry(home / "registry", port=registry, parts=PARTS, log=log).stop)
        yield Servers(
            home,
            KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{kafka}"),
            RegistrySettings(schema_registry_url=f"http://127.0.0.1:{registry}{API}"),
            broker,
            running,
        )


def quiet() -> None:
    """Waiting for servers is no news."""
    stamina.instrumentation.set_on_retry_hooks([])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))

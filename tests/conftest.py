"""Real servers for the tests that need them: started once a session, on free ports, in a folder of their own."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings

from compose.addresses import free_port
from compose.child import Child
from compose.kafka import Listener, start_kafka
from compose.registry import API, start_registry
from schemas.kafka.settings import KafkaSettings
from schemas.registry import RegistrySettings

PARTS = Path(".local/parts").resolve()

# A test's server lives for seconds: Java's second compiler and its parallel collector cost it more than they give.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

# An example on a busy machine may take any time: no test asserts one.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@dataclass
class Servers:
    """A Kafka broker and a schema registry; `kafka` may be killed, stopped and started again by a test.

    The broker listens at `far_port`, too, and tells who comes there that its address is `link_port`: a
    `tests.link.Link` between the two is the network of whoever uses `link_settings`.
    """

    home: Path
    kafka_port: int = field(default_factory=free_port)
    controller_port: int = field(default_factory=free_port)
    registry_port: int = field(default_factory=free_port)
    far_port: int = field(default_factory=free_port)
    link_port: int = field(default_factory=free_port)
    children: dict[str, Child] = field(default_factory=dict)

    @property
    def kafka(self) -> Child:
        return self.children["kafka"]

    @property
    def kafka_settings(self) -> KafkaSettings:
        return KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{self.kafka_port}")

    @property
    def link_settings(self) -> KafkaSettings:
        return KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{self.link_port}")

    @property
    def registry_settings(self) -> RegistrySettings:
        return RegistrySettings(schema_registry_url=f"http://127.0.0.1:{self.registry_port}{API}")

    @property
    def environment(self) -> dict[str, str]:
        """For processes of ours."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_settings.kafka_bootstrap_servers,
            "SCHEMA_REGISTRY_URL": self.registry_settings.schema_registry_url,
            "LOG_FORMAT": "json",
        }

    def start_kafka(self) -> None:
        self.children["kafka"] = start_kafka(
            self.home / "kafka",
            port=self.kafka_port,
            controller_port=self.controller_port,
            parts=PARTS,
            log=self.home / "kafka.log",
            listeners=[
                Listener(name="FAR", port=self.far_port, protocol="PLAINTEXT", advertised=self.link_port),
            ],
        )

    def start_registry(self) -> None:
        self.children["registry"] = start_registry(
            self.home / "registry", port=self.registry_port, parts=PARTS, log=self.home / "registry.log"
        )

    def stop(self) -> None:
        for child in self.children.values():
            child.kill()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """For all tests of a session; who breaks them mends them, or takes `own_servers`."""
    yield from running_servers(tmp_path_factory.mktemp("servers"))


@pytest.fixture
def own_servers(tmp_path: Path) -> Iterator[Servers]:
    """For one test alone, which may do with them what it likes."""
    yield from running_servers(tmp_path)


def running_servers(home: Path) -> Iterator[Servers]:
    """Both servers, for the length of a fixture."""
    servers = Servers(home)
    try:
        servers.start_kafka()
        servers.start_registry()
        yield servers
    finally:
        servers.stop()


@pytest.fixture
def kafka(servers: Servers) -> KafkaSettings:
    return servers.kafka_settings


@pytest.fixture
def registry(servers: Servers) -> RegistrySettings:
    return servers.registry_settings

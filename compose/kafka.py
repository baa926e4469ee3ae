"""A Kafka broker on loopback, in KRaft's combined mode: broker and controller in one process."""

import asyncio
import json
import socket
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from compose.child import Child, await_condition
from compose.java import java
from compose.parts import jars

READY_SECONDS = 60.0
FORMAT_SECONDS = 60.0

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners={listeners},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners={advertised}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,{protocols}
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=10
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=10
group.initial.rebalance.delay.ms=0
"""


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A further port of a broker; its properties are without their prefix.

    `advertised` is the port that clients are told to come to, where it is another one: something stands between.
    """

    name: str
    port: int
    protocol: str
    advertised: int | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


def start_kafka(
    home: Path,
    *,
    port: int,
    controller_port: int,
    parts: Path,
    log: Path,
    properties: str = "",
    listeners: Sequence[Listener] = (),
    scram: Sequence[str] = (),
) -> Child:
    """Start a broker at 127.0.0.1:`port` with its data below `home`, and wait until it answers.

    Data from an earlier start are taken up again. `properties` are further lines of server.properties; `scram` the
    users of new data, as kafka-storage takes them. Raises PartsError, ChildDied.
    """
    home.mkdir(parents=True, exist_ok=True)
    data = home / "data"
    config = home / "server.properties"
    ports = (Listener(name="PLAINTEXT", port=port, protocol="PLAINTEXT"), *listeners)
    lines = _PROPERTIES.format(
        listeners=",".join(f"{listener.name}://127.0.0.1:{listener.port}" for listener in ports),
        advertised=",".join(
            f"{listener.name}://127.0.0.1:{listener.advertised or listener.port}" for listener in ports
        ),
        protocols=",".join(f"{listener.name}:{listener.protocol}" for listener in ports),
        controller_port=controller_port,
        data=properties_text(str(data)),
    )
    of_listeners = (
        f"listener.name.{listener.name.lower()}.{name}={value}\n"
        for listener in listeners
        for name, value in listener.properties.items()
    )
    config.write_text(lines + "".join(of_listeners) + properties)
    classpath = ":".join(map(str, jars("kafka", parts)))
    if not (data / "meta.properties").exists():
        _format(classpath, config, log, scram)
    command = [*java("512m"), "-cp", classpath, "kafka.Kafka", str(config)]
    broker = Child("Kafka", command, log)
    try:
        await_condition("it answered", lambda: _answers(port), broker, READY_SECONDS)
    except BaseException:
        broker.kill()
        raise
    return broker


def properties_text(text: str) -> str:
    """A text as Java's properties have it: they are read as Latin-1, and have JSON's escapes for the rest."""
    return json.dumps(text)[1:-1]


def _format(classpath: str, config: Path, log: Path, scram: Sequence[str]) -> None:
    cluster = urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
    # In one word: as a word of its own, the one id in 64 that begins with "-" would be taken for an option.
    options = [f"--cluster-id={cluster}", f"--config={config}", *(f"--add-scram={user}" for user in scram)]
    command = [*java("256m"), "-cp", classpath, "kafka.tools.StorageTool", "format", *options]
    tool = Child("preparing Kafka's storage", command, log)
    try:
        tool.finish(FORMAT_SECONDS)
    finally:
        tool.stop()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return asyncio.run(_lists_topics(port))


async def _lists_topics(port: int) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}", request_timeout_ms=2_000)
    try:
        await admin.start()
        await admin.list_topics()
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
    return True

"""The second engine where there is no ksqlDB: the rules on Kafka Streams, from `compose/streams`."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from compose.child import Child
from compose.compiler import class_path
from compose.java import java
from fraud.commands.rules import meaning
from fraud.comparison.streams_engine import applications_prefix
from fraud.rules import Rule

SOURCES = Path(__file__).with_name("streams")
HEAP = "384m"
OPTIONS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.streams=info",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.clients.admin.internals=off",  # topics that are being made
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
)


def start_engine(home: Path, *, kafka: str, registry: str, app: str, rules: Sequence[Rule], log: Path) -> Child:
    """Start the engine, compiled below `home` if it is not yet, with its state there; it is not waited for.

    It waits by itself until the topics are there. Raises PartsError, ChildDied.
    """
    folder = home / "streams"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "rules.json"
    file.write_bytes(msgspec.json.encode([meaning(rule) for rule in rules]))
    arguments = [kafka, registry, applications_prefix(app), str(file), str(folder / "state")]
    command = [*java(HEAP), *OPTIONS, "-cp", class_path([SOURCES], home), "streams.Engine", *arguments]
    return Child("the second engine", command, log)

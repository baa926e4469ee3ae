"""Kafka Streams, in Java: compiled here, because the runtime that is at hand brings no compiler."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.peers.running import Peer, PeerFailed, PeerMissing
from compose import engine
from compose.child import ChildDied
from compose.compiler import class_path
from compose.java import java
from compose.parts import PartsError

HOME = Path(".local")
SOURCES = Path(__file__).with_name("java")


def java_command(main: str) -> list[str]:
    """Java with a program of `benchmarks/peers/java`, compiled if it is not yet. Raises PeerMissing, PeerFailed."""
    try:
        classes = class_path([SOURCES, engine.SOURCES], HOME)
    except PartsError as error:
        raise PeerMissing(str(error)) from error
    except ChildDied as error:
        raise PeerFailed(str(error)) from error
    quiet = ["--enable-native-access=ALL-UNNAMED", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
    return [*java("3g"), "-XX:+UseParallelGC", *quiet, "-cp", classes, main]


def command(variant: str, _home: Path) -> Sequence[str]:
    """The peer of one rule; variants are `sums` and `cases`. Raises PeerMissing, PeerFailed."""
    return [*java_command("KafkaStreamsPeer"), variant]


KAFKA_STREAMS_SUMS = Peer("kafka_streams_sums", "Kafka Streams, sums alone, in memory", partial(command, "sums"))
KAFKA_STREAMS = Peer("kafka_streams", "Kafka Streams, the same work, RocksDB", partial(command, "cases"))

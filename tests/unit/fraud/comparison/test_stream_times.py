"""Which windows have closed, by the stream times that the changelog has."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka.structs import TopicPartition

from fraud.comparison import stream_times
from fraud.comparison.compare import WindowKey, window_key
from fraud.comparison.stream_times import StreamTimes
from fraud.detection.changelog import RuleState, TaskProgress
from fraud.detection.packed import FORMAT
from fraud.detection.partition_keys import payor_key
from fraud.rules import parse
from schemas.kafka.partitioning import partition_of
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import FRAUD_STATE

RULE = """
[[rule]]
name = "big"
group_by = ["payor_account_no"]
window = "10ms"
grace = "5ms"
min_payments = 1
"""
PARTITIONS = 4
PAYOR = 100
PARTITION = partition_of(payor_key(PAYOR), PARTITIONS)


def progress(stream_time: int, partition: int = PARTITION) -> Any:
    state = TaskProgress(FORMAT, PARTITIONS, stream_time, {"big": RuleState(stream_time, "", 0)})
    return SimpleNamespace(key=b'["by-payor"]', value=msgspec.json.encode(state), partition=partition)


async def closed(monkeypatch: pytest.MonkeyPatch, *records: Any, start: int = 20) -> bool:
    """Tell whether the window of a payor from `start` on has closed, when the changelog has these records."""

    async def end_offsets(kafka: KafkaSettings, topics: list[str]) -> dict[TopicPartition, int]:
        return {TopicPartition(FRAUD_STATE, number): 9 for number in range(PARTITIONS)}

    async def read_to_end(kafka: KafkaSettings, topics: list[str]) -> AsyncIterator[list[Any]]:
        yield list(records)

    monkeypatch.setattr(stream_times, "end_offsets", end_offsets)
    monkeypatch.setattr(stream_times, "read_to_end", read_to_end)
    times = StreamTimes(parse(RULE, "rules.toml"))
    await times.read(KafkaSettings())
    window: WindowKey = window_key("big", start, {"payor_account_no": PAYOR})
    return times.is_closed(window)


async def test_a_window_has_closed_once_stream_time_reaches_its_end_and_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not await closed(monkeypatch, progress(34))
    assert await closed(monkeypatch, progress(35))


async def test_the_last_record_of_a_task_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await closed(monkeypatch, progress(0), progress(35))


async def test_stream_time_is_that_of_the_groups_own_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not await closed(monkeypatch, progress(35, (PARTITION + 1) % PARTITIONS))


async def test_records_of_format_1_segments_and_deletions_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    format_1 = SimpleNamespace(key=b'["big"]', value=b'{"stream_time":99}', partition=PARTITION)
    segment = SimpleNamespace(key=b'["by-payor",1,0]', value=b"\x90", partition=PARTITION)
    gone = SimpleNamespace(key=b'["by-payor"]', value=None, partition=PARTITION)
    assert not await closed(monkeypatch, format_1, segment, gone)

"""Stream times of Python's rules, as the changelog has them: which windows have closed."""

from collections.abc import Sequence

import msgspec

from fraud.comparison.compare import WindowKey
from fraud.detection.changelog import decode_key, decode_progress
from fraud.detection.partition_keys import group_key
from fraud.detection.topology import INPUTS
from fraud.rules import Rule
from schemas.kafka.partitioning import partition_of
from schemas.kafka.reading import end_offsets, read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import FRAUD_STATE


class StreamTimes:
    """Python's stream times: what has closed, by rule and partition."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._times: dict[tuple[str, int], int] = {}
        self._partitions = 1

    async def read(self, kafka: KafkaSettings) -> None:
        """Raises KafkaError."""
        self._partitions = len(await end_offsets(kafka, [FRAUD_STATE])) or 1
        async for records in read_to_end(kafka, [FRAUD_STATE]):
            for record in records:
                stage, segment = decode_key(record.key)
                if stage in INPUTS and segment is None and record.value is not None:
                    for rule, state in decode_progress(record.value).rules.items():
                        self._times[rule, record.partition] = state.stream_time

    def is_closed(self, window: WindowKey) -> bool:
        """True if a window takes no more payments."""
        rule = self._rules[window.rule]
        key = group_key(msgspec.json.decode(window.group))
        partition = partition_of(key, self._partitions)
        stream_time = self._times.get((rule.name, partition), -1)
        return window.window_start + rule.size_ms + rule.grace_ms("changes") <= stream_time

"""Kafka Streams as the second engine: an application, and so a consumer group, for each rule."""

import re
from collections.abc import Mapping, Sequence

from fraud.comparison.engine_status import NOT_RUNNING, REBALANCING, RUNNING, EngineStatus
from fraud.comparison.lag import unread
from fraud.rules import Rule
from schemas.kafka.groups import ConsumerGroup, consumer_groups
from schemas.kafka.reading import offset_bounds
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import RAW_TOPICS

_CLIENT = re.compile(r"kafka-streams-([0-9][0-9A-Za-z.]*)-")
"""A member's client id begins with the library's version, see `compose/streams/Query.java`."""


def applications_prefix(app: str) -> str:
    """The beginning of the names of an installation's applications; rule and fingerprint follow."""
    return f"{app}-streams-"


class StreamsEngine:
    """The program of `compose/streams`, seen through its consumer groups alone."""

    name = "Kafka Streams"

    def __init__(self, kafka: KafkaSettings, app: str, rules: Sequence[Rule]) -> None:
        self._kafka = kafka
        self._rules = {f"{applications_prefix(app)}{rule.name}-{rule.fingerprint}": rule for rule in rules}

    async def status(self) -> EngineStatus:
        """The engine now; raises KafkaError."""
        groups = await consumer_groups(self._kafka, self._rules)
        state, reason = self._state(groups)
        version = next(filter(None, map(_version, groups.values())), None)
        lag = None if any(group.state == "Dead" for group in groups.values()) else await self._lag(groups)
        return EngineStatus(self.name, version, state, lag, reason)

    def _state(self, groups: Mapping[str, ConsumerGroup]) -> tuple[str, str | None]:
        idle = [self._rules[name].name for name, group in groups.items() if not group.clients]
        if idle:
            return NOT_RUNNING, f"Kafka Streams does not run {', '.join(idle)}"
        if moving := [self._rules[name].name for name, group in groups.items() if group.state != "Stable"]:
            return REBALANCING, f"Kafka Streams is starting {', '.join(moving)}"
        return RUNNING, None

    async def _lag(self, groups: Mapping[str, ConsumerGroup]) -> int:
        repartitioned = {name: f"{name}-{rule.name}-repartition" for name, rule in self._rules.items()}
        bounds = await offset_bounds(self._kafka, [*RAW_TOPICS, *repartitioned.values()])
        lag = 0
        for name, group in groups.items():
            inputs = {*RAW_TOPICS, repartitioned[name]}
            own = {partition: limits for partition, limits in bounds.items() if partition.topic in inputs}
            lag += await unread(self._kafka, group.offsets, own)
        return lag


def _version(group: ConsumerGroup) -> str | None:
    return next((match[1] for match in map(_CLIENT.match, group.clients) if match), None)

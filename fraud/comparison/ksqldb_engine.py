"""ksqlDB as the second engine: the queries that `fraud ksql deploy` has made."""

import re
from collections.abc import Sequence
from contextlib import aclosing

from fraud.comparison.engine_status import NOT_RUNNING, RUNNING, EngineStatus
from fraud.comparison.rows import SINK
from fraud.ksqldb.client import KsqldbSettings, KsqldbUnavailable, StatementError, connect
from fraud.ksqldb.deployment import QueryHealth, health
from fraud.ksqldb.statements import statements
from fraud.rules import Rule
from schemas.kafka.reading import read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import RAW_TOPICS


class KsqldbEngine:
    """A ksqlDB server, asked over its REST API."""

    name = "ksqlDB"

    def __init__(self, kafka: KafkaSettings, settings: KsqldbSettings, rules: Sequence[Rule]) -> None:
        self._kafka = kafka
        self._settings = settings
        self._inputs = _inputs(rules)

    async def status(self) -> EngineStatus:
        """The engine now; raises KafkaError, SettingsError where it refuses us."""
        version = None
        try:
            async with connect(self._settings) as server:
                version = (await server.info()).version
                queries = await health(server)
        except (KsqldbUnavailable, StatementError) as error:
            return EngineStatus(self.name, version, NOT_RUNNING, None, str(error))
        lag = 0
        for pattern, topic in self._inputs:
            query = next((query for query in queries if re.fullmatch(pattern, query.id)), None)
            if query is None:
                reason = f"ksqlDB has no query {pattern}: `python -m fraud ksql deploy` makes it"
                return EngineStatus(self.name, version, NOT_RUNNING, None, reason)
            if query.state != RUNNING:
                reason = f"ksqlDB's query {query.id} is not RUNNING, but {query.state}"
                return EngineStatus(self.name, version, query.state, None, reason)
            lag += await self._lag(query, topic)
        return EngineStatus(self.name, version, RUNNING, lag)

    async def _lag(self, query: QueryHealth, topic: str) -> int:
        """Records that a query has not read; of one that has committed nothing yet, those that come first."""
        if query.lag is not None:
            return query.lag
        async with aclosing(read_to_end(self._kafka, [topic])) as batches:
            return len(await anext(batches, []))


def _inputs(rules: Sequence[Rule]) -> list[tuple[str, str]]:
    """Patterns of the queries' ids, and what each reads: those that bring the payments together, and one a rule."""
    payments = [statement.query for statement in statements(()) if statement.query]
    by_rule = [(f"CTAS_{SINK}{rule.name}_".upper() + "[0-9]+", SINK + "all_payments") for rule in rules]
    return [*zip(payments, RAW_TOPICS, strict=True), *by_rule]

"""The second engine that the settings choose."""

from collections.abc import Sequence

from fraud.comparison.engine_status import SecondEngine
from fraud.comparison.ksqldb_engine import KsqldbEngine
from fraud.comparison.streams_engine import StreamsEngine
from fraud.ksqldb.client import KsqldbSettings
from fraud.rules import Rule
from fraud.settings import EngineChoice
from schemas.kafka.settings import KafkaSettings


def choose_engine(engine: EngineChoice | None, ksqldb: KsqldbSettings, otherwise: EngineChoice) -> EngineChoice:
    """The choice of the settings; where they make none, ksqlDB if they name one, or else `otherwise`."""
    return engine or ("ksqldb" if ksqldb.ksqldb_url else otherwise)


def second_engine(
    engine: EngineChoice, ksqldb: KsqldbSettings, kafka: KafkaSettings, app: str, rules: Sequence[Rule]
) -> SecondEngine | None:
    """The engine of these rules; `app` is the name of the installation. None for none."""
    if engine == "ksqldb":
        return KsqldbEngine(kafka, ksqldb, rules)
    return StreamsEngine(kafka, app, rules) if engine == "streams" else None

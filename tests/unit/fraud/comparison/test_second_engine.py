"""The engine that Python is compared with, and what keeps it from being compared."""

import pytest

from fraud.comparison.engine_status import NOT_RUNNING, RUNNING, EngineStatus
from fraud.comparison.ksqldb_engine import KsqldbEngine
from fraud.comparison.second_engine import choose_engine, second_engine
from fraud.comparison.streams_engine import StreamsEngine
from fraud.ksqldb.client import KsqldbSettings
from fraud.rules import load
from fraud.settings import EngineChoice
from schemas.kafka.settings import KafkaSettings

KSQLDB = KsqldbSettings(ksqldb_url="http://127.0.0.1:8088")


def test_ksqldb_is_the_engine_where_there_is_one_unless_another_is_asked_for() -> None:
    assert choose_engine(None, KSQLDB, otherwise="none") == "ksqldb"
    assert choose_engine("streams", KSQLDB, otherwise="none") == "streams"
    assert choose_engine(None, KsqldbSettings(), otherwise="streams") == "streams"
    assert choose_engine("none", KSQLDB, otherwise="streams") == "none"


@pytest.mark.parametrize(
    ("choice", "kind"), [("ksqldb", KsqldbEngine), ("streams", StreamsEngine), ("none", type(None))]
)
def test_each_choice_has_its_engine(choice: EngineChoice, kind: type) -> None:
    assert isinstance(second_engine(choice, KSQLDB, KafkaSettings(), "underten", load()), kind)


def test_an_engine_that_runs_and_has_read_everything_is_in_nobodys_way() -> None:
    assert EngineStatus("Kafka Streams", "4.1.0", RUNNING, 0).obstacle is None


def test_what_an_engine_has_not_read_is_said() -> None:
    assert EngineStatus("ksqlDB", "7.9.0", RUNNING, 3).obstacle == "ksqlDB has 3 records to read"


def test_why_an_engine_does_not_run_comes_first() -> None:
    status = EngineStatus("Kafka Streams", None, NOT_RUNNING, 3, "it does not run")
    assert status.obstacle == "it does not run"
    assert status.as_json() == {"name": "Kafka Streams", "version": None, "state": "NOT_RUNNING", "lag": 3}

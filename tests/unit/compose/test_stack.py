"""Settings of the local stack."""

import pytest

from compose.stack import StackSettings

KSQLDB = "http://127.0.0.1:8088"


@pytest.mark.parametrize(
    ("settings", "engine"),
    [
        (StackSettings(), "streams"),
        (StackSettings(ksqldb_url=KSQLDB), "ksqldb"),
        (StackSettings(engine="none"), "none"),
        (StackSettings(engine="streams", ksqldb_url=KSQLDB), "streams"),
    ],
)
def test_the_second_engine_is_kafka_streams_unless_there_is_a_ksqldb_or_somebody_wants_none(
    settings: StackSettings, engine: str
) -> None:
    assert settings.second_engine == engine
    assert settings.environment["ENGINE"] == engine
    assert settings.runs_streams == (engine == "streams")


def test_servers_alone_have_no_engine() -> None:
    assert not StackSettings(only="servers").runs_streams

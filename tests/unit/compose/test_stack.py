"""Settings of the local stack."""

from pathlib import Path

import pytest

from compose.kafka import properties_text
from compose.stack import HomeSettings, StackSettings
from schemas.errors import SettingsError

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


@pytest.mark.parametrize("sign", [",", ":", ";"])
def test_a_folder_that_would_part_lists_of_paths_is_refused_by_name(sign: str) -> None:
    with pytest.raises(SettingsError, match="stack_home"):
        HomeSettings(stack_home=Path(f"a{sign}b"))
    with pytest.raises(SettingsError, match="stack_home"):
        StackSettings(stack_home=Path(f"a{sign}b"))


@pytest.mark.parametrize(
    ("path", "text"),
    [("/a b/c", "/a b/c"), ("/jürgen/€", r"/j\u00fcrgen/\u20ac"), ("/😀", r"/\ud83d\ude00"), ("/a\\b", r"/a\\b")],
)
def test_a_path_is_written_as_java_reads_properties(path: str, text: str) -> None:
    assert properties_text(path) == text

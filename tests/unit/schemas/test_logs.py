"""Log lines, and what never stands in one."""

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Literal

import pytest
import structlog

from schemas.logs import LogSettings, SeldomRepeated, configure_logs


@pytest.fixture
def restored() -> Iterator[None]:
    """The test's own logging, afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def fail(password: str) -> None:
    raise ValueError(f"{len(password)} characters")


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("form", ["console", "json"])
def test_an_error_is_logged_without_what_its_variables_held(
    form: Literal["console", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(LogSettings(log_level="debug", log_format=form))
    try:
        fail("ydobon-dlot"[::-1])  # the line itself may be shown
    except ValueError:
        structlog.get_logger("test").exception("unexpected")
    output = capsys.readouterr().err
    assert "ValueError" in output
    assert "told-nobody" not in output


@pytest.mark.usefixtures("restored")
def test_what_is_sent_to_kafka_is_logged_at_no_level() -> None:
    configure_logs(LogSettings(log_level="debug"))
    assert not logging.getLogger("aiokafka.conn").isEnabledFor(logging.DEBUG)


def test_a_message_of_aiokafka_is_told_once_in_a_while_and_ours_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("schemas.logs.time", SimpleNamespace(monotonic=lambda: now))
    seldom = SeldomRepeated()

    def passes(name: str, *values: object) -> bool:
        return seldom.filter(logging.LogRecord(name, logging.ERROR, "", 0, "node %s: %s", values, None))

    assert passes("aiokafka", 1, "refused")
    assert not passes("aiokafka", 2, "refused")
    assert passes("service.producer.partition_queue", 1, "refused")
    assert passes("service.producer.partition_queue", 1, "refused")
    now = 11.0
    assert passes("aiokafka", 2, "refused")

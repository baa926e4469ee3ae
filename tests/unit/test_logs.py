"""What is logged, and what never is."""

import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from schemas.logs import LogSettings, configure_logs


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
    said = capsys.readouterr().err
    assert "ValueError" in said
    assert "told-nobody" not in said


@pytest.mark.usefixtures("restored")
def test_what_is_sent_to_kafka_is_logged_at_no_level() -> None:
    configure_logs(LogSettings(log_level="debug"))
    assert not logging.getLogger("aiokafka.conn").isEnabledFor(logging.DEBUG)

"""Logs of the processes: one line an event, for people on a terminal, as JSON for machines."""

import logging
import sys
import time
from dataclasses import dataclass
from typing import Literal

import structlog
from cyclopts import Parameter

REPEAT_SECONDS = 10.0
MAX_MESSAGES = 1_000


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LogSettings:
    """Events to log, and their form."""

    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    """The least important events to log."""

    log_format: Literal["auto", "console", "json"] = "auto"
    """auto: for people where stderr is a terminal, JSON elsewhere."""


class SeldomRepeated(logging.Filter):
    """Lets each of aiokafka's messages through once in a while.

    Without Kafka, each of its clients tells of each attempt to connect: hundreds a second where every task has one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last_times: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """True for a message to let through. Messages are the same where only the values in them differ."""
        if not record.name.startswith("aiokafka"):
            return True
        message, now = str(record.msg), time.monotonic()
        if now - self._last_times.get(message, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return False
        if len(self._last_times) >= MAX_MESSAGES:
            self._last_times.clear()
        self._last_times[message] = now
        return True


def configure_logs(settings: LogSettings) -> None:
    """Send the events of this project and of its libraries to stderr, in one format."""
    level = getattr(logging, settings.log_level.upper())
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers: list[structlog.typing.Processor] = (
        # Its default shows each frame's variables, and among them whatever token or password is under way.
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.RichTracebackFormatter(show_locals=False))]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    handler.addFilter(SeldomRepeated())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # The HTTP client tells of every request to the registry, and aiokafka of every partition that it joins or leaves:
    # our own events say the same in the project's words. At debug aiokafka tells of all that it sends: passwords, too.
    for name in ("httpx", "httpcore", "aiokafka.conn", "aiokafka.consumer", "aiokafka.producer"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    # Kafka 4 answers NOT_ENOUGH_REPLICAS while it verifies that a partition belongs to a transaction (KIP-890);
    # aiokafka retries, and nothing is wrong.
    logging.getLogger("aiokafka.producer.sender").setLevel(max(level, logging.ERROR))


def silence_logs() -> None:
    """Leave what is on the screen to a command's own answer: of events, only critical ones are shown."""
    configure_logs(LogSettings(log_level="critical"))

"""Log lines through structlog, one format for ours and the libraries'. What a payment says is in none of them."""

import logging
import sys

import structlog
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from service.settings import ServiceSettings

_SHARED: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logging(settings: ServiceSettings) -> None:
    """Send all log messages of the process to standard error."""
    last: structlog.typing.Processor
    if settings.log_format == "json":
        last = structlog.processors.JSONRenderer()
    else:
        last = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            last,
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    if settings.log_level == "info":
        # Each request to the registry, each subscription: news only to whoever looks for a fault.
        for library in ("httpx", "aiokafka"):
            logging.getLogger(library).setLevel(logging.WARNING)


class AccessLogger(AbstractAccessLogger):
    """Method, path, status and time of a request. No query: it names accounts; no body, no headers."""

    only_errors = False

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        if self.only_errors and response.status < 400:
            return
        milliseconds = round(time * 1000, 1)
        self.logger.info("%s %s %d %s ms", request.method, request.path, response.status, milliseconds)


class ErrorAccessLogger(AccessLogger):
    """The same, but only for answers of 4xx and 5xx."""

    only_errors = True

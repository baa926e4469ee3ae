"""The access log: method, path, status and time of a request.

Never the query, which names accounts; never a body or a header.
"""

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger


class AccessLogger(AbstractAccessLogger):
    """Logs every request."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Log a line; `time` is in seconds."""
        self.logger.info("%s %s %d %.1f ms", request.method, request.rel_url.raw_path, response.status, time * 1000)


class ErrorAccessLogger(AccessLogger):
    """Logs requests that were answered with 4xx or 5xx."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Log a line for a response of 400 or above; `time` is in seconds."""
        if response.status >= 400:
            super().log(request, response, time)

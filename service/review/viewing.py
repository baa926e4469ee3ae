"""Viewings of the queue: who looks at what, in the log and on `review_views`."""

import time
from typing import Any

import structlog
from aiohttp import web

from service.access.authentication import IDENTITY
from service.http.request_ids import record_headers
from service.queue.viewings import VIEWING_LOG, ViewedItem, Viewing
from service.settings import SETTINGS

log = structlog.get_logger(__name__)


def record_viewing(request: web.Request, item: ViewedItem, **about: Any) -> None:
    """Record that whoever asks looks at an item; `about` are members of a Viewing. It waits for nothing."""
    if not request.app[SETTINGS].service.log_views:
        return
    identity = request.get(IDENTITY)
    viewer = identity.name if identity else None
    # The log names no account, and what a table was filtered by may.
    ids = {name: value for name, value in about.items() if name != "filter"}
    log.info("viewed", name=viewer, item=item, path=request.path, **ids)
    viewing = Viewing(time=int(time.time() * 1000), item=item, viewer=viewer, **about)
    request.app[VIEWING_LOG].put(viewing, record_headers(request))

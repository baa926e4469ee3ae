"""Reading the view on behalf of a request: in a thread, and with what to answer where it cannot be read."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from aiohttp import web

from service.http.problems import unavailable
from service.queue.consumer import QUEUE_READER
from service.queue.database import Damaged
from service.queue.decision_log import DECISION_LOG
from service.queue.view import QUEUE_VIEW, QueueView

P = ParamSpec("P")
T = TypeVar("T")


async def read_view(
    app: web.Application, read: Callable[Concatenate[QueueView, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call a function that reads the view; raises Problem (503) where that cannot be read now."""
    await app[DECISION_LOG].catch_up()
    try:
        return await asyncio.to_thread(read, app[QUEUE_VIEW], *args, **kwargs)
    except Damaged:
        app[QUEUE_READER].rebuild()
        raise unavailable("queue-rebuilding", "the review queue's view is damaged; it is being made anew") from None
    except sqlite3.OperationalError as error:
        raise unavailable("queue-unavailable", f"the review queue's view cannot be read: {error}") from None

"""The queue as it changes: GET /review-queue/events (server-sent events, WHATWG HTML, section 9.2).

An event's id is the file that the view is in, and the number of the change. Whoever comes back with Last-Event-ID is
told what has changed since; where that cannot be known any more, or is too much, `reset` says to read anew.
"""

import asyncio
import time

import msgspec
from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from service.access.guard import is_permitted
from service.queue import reads
from service.queue.query import Query
from service.queue.reads import Change
from service.queue.view import QUEUE_VIEW
from service.review.cases import PAGE, query_of, read_view, with_reason
from service.settings import RULES

HEARTBEAT_SECONDS = 15.0
PERMIT_SECONDS = 10.0
"""How long somebody whose token has expired goes on being told."""
PAUSE_SECONDS = 0.25
"""Between two batches: what changes several times within it is told once."""
MOST_AT_ONCE = 200
MOST_DIGITS = 18
MOST_BEHIND = 2_000
"""Changes; whoever is further behind reads anew."""
STOPPING = web.AppKey("stopping", asyncio.Event)
"""Set when the application ends: those who follow the queue would be waited for."""


async def follow(request: web.Request) -> web.StreamResponse:
    """Events `ready`, `case` (a case without its payments, and whether it matches the filters), `gone`, `reset`."""
    app, query = request.app, query_of(request, *PAGE)
    view, last = app[QUEUE_VIEW], await read_view(app, reads.last_change)
    known = request.headers.get("Last-Event-ID")
    since = last if known is None else _since(known, last)
    async with sse_response(request, headers={"X-Accel-Buffering": "no"}) as stream:
        stream.ping_interval = HEARTBEAT_SECONDS
        if since is None:
            since = last
            await stream.send("{}", id=str(since), event="reset")
        else:
            await stream.send("{}", id=str(since), event="ready")
        permitted = time.monotonic()
        while stream.is_connected() and not app[STOPPING].is_set():
            if time.monotonic() - permitted > PERMIT_SECONDS:
                if not await is_permitted(request, "reviews:read"):
                    break
                permitted = time.monotonic()
            if Change(view.epoch, view.change) != since:
                since = await _tell(app, stream, query, since)
            await asyncio.sleep(PAUSE_SECONDS)
    return stream


async def _tell(app: web.Application, stream: EventSourceResponse, query: Query, since: Change) -> Change:
    """Send what has changed since then; returns up to where that is told."""
    last = await read_view(app, reads.last_change)
    if last.epoch != since.epoch:
        await stream.send("{}", id=str(last), event="reset")
        return last
    changes = await read_view(app, reads.changes, since.number, query, MOST_AT_ONCE)
    told = [
        (number, "case", {**with_reason(item, app[RULES]), "matches": matches})
        for number, matches, item in changes.cases
    ]
    told += [(number, "gone", {"case_id": case_id}) for number, case_id in changes.gone]
    # Either list may have been cut off: nothing is told that comes after what was.
    for number, event, data in sorted(told, key=lambda each: each[0])[:MOST_AT_ONCE]:
        since = Change(since.epoch, number)
        await stream.send(msgspec.json.encode(data).decode(), id=str(since), event=event)
    return since


def _since(known: str, last: Change) -> Change | None:
    """The change that an event's id names; None if it is of another file, or too long ago."""
    epoch, _, number = known.rpartition("-")
    if epoch != last.epoch or not number.isdecimal() or len(number) > MOST_DIGITS:
        return None
    return Change(epoch, int(number)) if last.number - MOST_BEHIND <= int(number) <= last.number else None

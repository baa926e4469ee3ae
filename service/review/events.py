"""Handler of the queue as it changes: GET /review-queue/events (server-sent events, WHATWG HTML, section 9.2).

An event's id is the file that the view is in, and the number of the change. Whoever comes back with Last-Event-ID is
told what has changed since; where that cannot be known any more, or is too much, `reset` says to read anew.
"""

import asyncio
import time

import msgspec
from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from service.access.guard import is_permitted
from service.queue import case_reads, subject_reads
from service.queue.changes import ChangeMark, last_change
from service.queue.query import QueueQuery
from service.queue.view import QUEUE_VIEW
from service.review.parameters import PAGING, query_of
from service.review.presentation import present_case, present_subject
from service.review.reading import read_view

HEARTBEAT_SECONDS = 15.0
PERMIT_SECONDS = 10.0
"""Time for which somebody whose token has expired goes on being told."""
PAUSE_SECONDS = 0.25
"""Between two batches: what changes several times within it is told once."""
MAX_AT_ONCE = 200
MAX_DIGITS = 18
MAX_BEHIND = 2_000
"""Changes; whoever is further behind reads anew."""
STOPPING = web.AppKey("stopping", asyncio.Event)
"""Set when the application ends: those who follow the queue would be waited for."""


async def follow(request: web.Request) -> web.StreamResponse:
    """Answer GET /review-queue/events.

    Events are `ready`, `case` or `subject` (without payments; `matches`: whether the filters hold), `gone`, `reset`.
    """
    app, query = request.app, query_of(request, *PAGING)
    view, last = app[QUEUE_VIEW], await read_view(app, last_change)
    last_event_id = request.headers.get("Last-Event-ID")
    since = last if last_event_id is None else _since(last_event_id, last)
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
            if ChangeMark(view.epoch, view.change) != since:
                since = await _send_changes(app, stream, query, since)
            await asyncio.sleep(PAUSE_SECONDS)
    return stream


async def _send_changes(
    app: web.Application, stream: EventSourceResponse, query: QueueQuery, since: ChangeMark
) -> ChangeMark:
    """Send what has changed since then; returns up to where that is done."""
    last = await read_view(app, last_change)
    if last.epoch != since.epoch:
        await stream.send("{}", id=str(last), event="reset")
        return last
    of_subjects = query.table == "subjects"
    read, present, name = (
        (subject_reads.changes, present_subject, "subject")
        if of_subjects
        else (case_reads.changes, present_case, "case")
    )
    changes = await read_view(app, read, since.number, query, MAX_AT_ONCE)
    events = [(number, name, present(app, item) | {"matches": matches}) for number, matches, item in changes.lines]
    events += [(number, "gone", {f"{name}_id": line_id}) for number, line_id in changes.removals]
    if not events:
        # What changed since is of the other kind.
        return last
    # Either list may have been cut off: nothing is sent that comes after what was.
    for number, event, data in sorted(events, key=lambda line: line[0])[:MAX_AT_ONCE]:
        since = ChangeMark(since.epoch, number)
        await stream.send(msgspec.json.encode(data).decode(), id=str(since), event=event)
    return since if len(events) >= MAX_AT_ONCE else max(since, last)


def _since(last_event_id: str, last: ChangeMark) -> ChangeMark | None:
    """The change that an event's id names; None if it is of another file, or too long ago."""
    epoch, _, number = last_event_id.rpartition("-")
    if epoch != last.epoch or not number.isdecimal() or len(number) > MAX_DIGITS:
        return None
    return ChangeMark(epoch, int(number)) if last.number - MAX_BEHIND <= int(number) <= last.number else None

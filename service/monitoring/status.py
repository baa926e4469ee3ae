"""Status in a line, for the page's strip."""

from aiohttp import web

from service.http.responses import json_response
from service.monitoring.traffic import TRAFFIC
from service.queue import comparison_reads, counts, subject_reads
from service.queue.consumer import QUEUE_READER
from service.queue.engine_progress import ENGINE_PROGRESS, NO_ENGINE
from service.review.reading import read_view


async def show_status(request: web.Request) -> web.Response:
    """GET /status."""
    app = request.app
    progress = app.get(ENGINE_PROGRESS)
    traffic = await app[TRAFFIC].figures()
    comparison = {
        "off": progress is None,
        "caught_up": progress is not None and progress.caught_up,
        "engine": progress.engine.as_json() if progress else None,
        "reason": progress.reason if progress else NO_ENGINE,
        "differences": await read_view(app, comparison_reads.disagreements),
    }
    return json_response(
        {
            "payments_per_second": round(traffic.rate, 1),
            "cases_open": await read_view(app, counts.count, "open"),
            "subjects_open": (await read_view(app, subject_reads.by_status)).get("open", 0),
            "comparison": comparison,
            "lag": {"review_queue": app[QUEUE_READER].lag, "fraud": traffic.unread},
        }
    )

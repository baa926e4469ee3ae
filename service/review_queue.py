"""The reviewer's queue: a page of cases, and one case with those that are related to it."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from aiohttp import web

from service.answers import json_answer
from service.keys import QUEUE_READER, QUEUE_VIEW
from service.problems import Problem, invalid_parameter, unavailable
from service.queue_query import parse_query
from service.queue_view import Damaged

P = ParamSpec("P")
T = TypeVar("T")

MOST_ID_CHARACTERS = 64


async def list_cases(request: web.Request) -> web.Response:
    """GET /review-queue."""
    if repeated := [name for name in request.query if len(request.query.getall(name)) > 1]:
        raise invalid_parameter(repeated[0], "is given more than once", status=400)
    query = parse_query(request.query)
    items, cursor = await read_view(request.app, request.app[QUEUE_VIEW].page, query)
    return json_answer({"items": items, "next_cursor": str(cursor) if cursor else None})


async def show_case(request: web.Request) -> web.Response:
    """GET /review-queue/{case_id}."""
    case_id = request.match_info["case_id"]
    view = request.app[QUEUE_VIEW]
    case = await read_view(request.app, view.case, case_id) if len(case_id) <= MOST_ID_CHARACTERS else None
    if case is None:
        raise Problem(404, "no-such-case", "there is no case with this id in the queue")
    return json_answer({**case, "related": await read_view(request.app, view.related, case_id)})


async def read_view(app: web.Application, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Ask the view, in a thread; raises Problem where it has no answer now."""
    try:
        return await asyncio.to_thread(read, *args, **kwargs)
    except Damaged:
        app[QUEUE_READER].rebuild()
        raise unavailable("queue-rebuilding", "the review queue's view is damaged; it is being made anew") from None
    except sqlite3.OperationalError as error:
        raise unavailable("queue-unavailable", f"the review queue's view cannot be read: {error}") from None

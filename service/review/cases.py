"""The reviewer's queue: pages of cases, one case with all that is known of it, and how many there are."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import msgspec
from aiohttp import web

from fraud.detection.reasons import reason
from fraud.rules import Rule
from service.http.problems import Problem, invalid_parameter, unavailable
from service.http.responses import json_response
from service.queue import reads
from service.queue.consumer import QUEUE_READER
from service.queue.database import Damaged
from service.queue.query import PARAMETERS, Query, parse_query
from service.queue.reads import Item
from service.queue.view import QUEUE_VIEW, QueueView
from service.settings import RULES

P = ParamSpec("P")
T = TypeVar("T")

MOST_ID_CHARACTERS = 64
PAGE = ("sort", "limit", "cursor")
"""Parameters that are about a page, not about which cases there are."""

_decode = msgspec.json.decode


async def list_cases(request: web.Request) -> web.Response:
    """GET /review-queue."""
    items, cursor = await read_view(request.app, reads.page, query_of(request))
    rules = request.app[RULES]
    return json_response(
        {"items": [with_reason(item, rules) for item in items], "next_cursor": str(cursor) if cursor else None}
    )


async def count_cases(request: web.Request) -> web.Response:
    """GET /review-queue/counts."""
    return json_response(await read_view(request.app, reads.counts, query_of(request, *PAGE)))


async def show_case(request: web.Request) -> web.Response:
    """GET /review-queue/{case_id}."""
    return case_answer(await shown(request.app, request.match_info["case_id"]))


async def shown(app: web.Application, case_id: str) -> Item:
    """A case with all that is known of it; raises Problem, 404."""
    found = await read_view(app, reads.detail, case_id) if len(case_id) <= MOST_ID_CHARACTERS else None
    if found is None:
        raise no_such_case()
    return with_reason(found, app[RULES])


def case_answer(case: Item, status: int = 200) -> web.Response:
    """A case, with its version as ETag: what If-Match wants to know."""
    response = json_response(case)
    response.set_status(status)
    response.headers["ETag"] = f'"{case["version"]}"'
    return response


def no_such_case() -> Problem:
    """404."""
    return Problem(404, "no-such-case", "there is no case with this id in the queue")


def with_reason(item: Item, rules: tuple[Rule, ...]) -> Item:
    """The item, and why its rule fired."""
    name = _decode(item["rule"])
    rule = next((each for each in rules if each.name == name), None)
    return {**item, "reason": reason(rule, _decode(item["payment_count"]), _decode(item["total_amount"]))}


def query_of(request: web.Request, *without: str) -> Query:
    """What a request asks of the queue; `without` are parameters that make no sense for it. Raises Problem."""
    if senseless := [name for name in without if name in request.query]:
        allowed = ", ".join(name for name in PARAMETERS if name not in without)
        raise invalid_parameter(senseless[0], f"is unknown here; there are {allowed}", status=400)
    if repeated := [name for name in request.query if len(request.query.getall(name)) > 1]:
        raise invalid_parameter(repeated[0], "is given more than once", status=400)
    return parse_query(request.query)


async def read_view(
    app: web.Application, read: Callable[Concatenate[QueueView, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Ask the view, in a thread; raises Problem where it has no answer now."""
    try:
        return await asyncio.to_thread(read, app[QUEUE_VIEW], *args, **kwargs)
    except Damaged:
        app[QUEUE_READER].rebuild()
        raise unavailable("queue-rebuilding", "the review queue's view is damaged; it is being made anew") from None
    except sqlite3.OperationalError as error:
        raise unavailable("queue-unavailable", f"the review queue's view cannot be read: {error}") from None

"""Handlers of the review queue: pages of cases or subjects, a case, a subject, and how many there are."""

from aiohttp import web

from service.http.problems import Problem
from service.http.responses import json_response
from service.queue import case_reads, counts, subject_reads
from service.queue.items import JsonObject
from service.queue.query import Cursor, QueueQuery
from service.review.parameters import PAGING, query_of
from service.review.presentation import present_case, present_subject
from service.review.reading import read_view
from service.review.viewing import record_viewing

MAX_ID_CHARACTERS = 64


async def list_cases(request: web.Request) -> web.Response:
    """Answer GET /review-queue."""
    items, cursor = await read_page(request.app, query_of(request))
    return json_response({"items": items, "next_cursor": str(cursor) if cursor else None})


async def count_cases(request: web.Request) -> web.Response:
    """Answer GET /review-queue/counts."""
    return json_response(await read_view(request.app, counts.counts, query_of(request, *PAGING)))


async def show_case(request: web.Request) -> web.Response:
    """Answer GET /review-queue/{case_id}."""
    case = await read_case(request.app, request.match_info["case_id"])
    record_viewing(request, "case", case_id=case["case_id"])
    return versioned_response(case)


async def show_subject(request: web.Request) -> web.Response:
    """Answer GET /review-queue/subjects/{subject_id}."""
    subject = await read_subject(request.app, request.match_info["subject_id"])
    record_viewing(request, "subject", subject_id=subject["subject_id"])
    return versioned_response(subject)


async def read_page(app: web.Application, query: QueueQuery) -> tuple[list[JsonObject], Cursor | None]:
    """Read a page of cases, or of subjects, and where the next page begins if there is one."""
    if query.table == "subjects":
        subjects, cursor = await read_view(app, subject_reads.page, query)
        return [present_subject(app, subject) for subject in subjects], cursor
    cases, cursor = await read_view(app, case_reads.page, query)
    return [present_case(app, case) for case in cases], cursor


async def read_case(app: web.Application, case_id: str) -> JsonObject:
    """Read a case with all that is known of it; raises Problem, 404."""
    case = await read_view(app, case_reads.case_detail, case_id) if len(case_id) <= MAX_ID_CHARACTERS else None
    if case is None:
        raise no_such_case()
    related = [present_case(app, other) for other in case["related"]]
    return present_case(app, case) | {"related": related}


async def read_subject(app: web.Application, subject_id: str) -> JsonObject:
    """Read a subject with all that is known of it; raises Problem, 404."""
    subject = await read_view(app, subject_reads.subject, subject_id) if len(subject_id) <= MAX_ID_CHARACTERS else None
    if subject is None:
        raise Problem(404, "no-such-subject", "there is no subject with this id in the queue")
    cases = [present_case(app, case) for case in subject["cases"]]
    related = [present_subject(app, other) for other in subject["related"]]
    return present_subject(app, subject) | {"cases": cases, "related": related}


def versioned_response(item: JsonObject, status: int = 200) -> web.Response:
    """Make a response with the item's version as its ETag, for If-Match."""
    response = json_response(item)
    response.set_status(status)
    response.headers["ETag"] = f'"{item["version"]}"'
    return response


def no_such_case() -> Problem:
    """Make a 404."""
    return Problem(404, "no-such-case", "there is no case with this id in the queue")

"""Responses that every room makes: JSON, and problem details."""

import msgspec
from aiohttp import web

from service.http.bodies import JSON
from service.http.problems import MEDIA_TYPE, Problem


def json_response(body: object) -> web.Response:
    """Make a 200 with JSON from anything that msgspec encodes."""
    return web.Response(body=msgspec.json.encode(body), headers={"Content-Type": JSON})


def problem_response(problem: Problem) -> web.Response:
    """Make an application/problem+json response, with the problem's status and headers."""
    return web.Response(
        body=msgspec.json.encode(problem.members),
        status=problem.status,
        headers={"Content-Type": MEDIA_TYPE, **problem.headers},
    )

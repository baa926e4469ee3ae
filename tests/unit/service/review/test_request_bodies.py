"""What a decision's request says: the version that was seen, and who decides."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from service.access.authentication import IDENTITY, Identity
from service.http.middleware import make_middleware
from service.http.problems import Problem
from service.metrics import Metrics
from service.queue.decisions import DecisionRequest
from service.queue.exemptions import ExemptionRequest
from service.review.request_bodies import decode_body, if_match, invalid, read_body_as, reviewer_of
from service.settings import SETTINGS, Settings


def request(headers: dict[str, str] | None = None, token: str | None = None) -> web.Request:
    made = make_mocked_request("POST", "/", headers=headers or {})
    if token is not None:
        made[IDENTITY] = Identity(token, frozenset())
    return made


@pytest.mark.parametrize(
    ("header", "version"),
    [(None, None), ("*", None), ('"170002"', 170_002), ('W/"170002"', 170_002), (" 7 ", 7), ("170002", 170_002)],
)
def test_if_match_names_the_version_that_was_seen_or_none(header: str | None, version: int | None) -> None:
    assert if_match(request({"If-Match": header} if header else None)) == version


@pytest.mark.parametrize("header", ['"a"', '"1", "2"', "-1", "1.0", '"12345678901234567"', "w/1x"])
def test_what_is_no_version_is_malformed(header: str) -> None:
    with pytest.raises(Problem) as raised:
        if_match(request({"If-Match": header}))
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("token", "body", "reviewer"), [(None, "ann", "ann"), (None, "", ""), ("ann", "", "ann"), ("ann", "ann", "ann")]
)
def test_a_token_says_who_decides_and_without_one_the_body(token: str | None, body: str, reviewer: str) -> None:
    assert reviewer_of(request(token=token), body) == reviewer


def test_nobody_decides_under_another_name_than_the_tokens() -> None:
    with pytest.raises(Problem) as raised:
        reviewer_of(request(token="ann"), "bob")
    assert (raised.value.status, raised.value.members["field"]) == (422, "reviewer")


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b'{"decision": "claim", "decision": "clear"}', 422, "stands there twice"),
        (b'{"decision": "claim", "reviewer": "ann\xe2\x80\x8b"}', 422, r"U\+200B"),
        (b'{"decision": "claim", "reviewer": "\\u0000"}', 422, r"U\+0000"),
        (b'{"decision": "assign", "assignee": "\\u202ebob"}', 422, r"U\+202E"),
        (b'{"decision": "claim", "more": 1}', 422, "more"),
        (b'\xef\xbb\xbf{"decision": "claim"}', 400, "byte order mark"),
        (b'{"decision": "claim"', 400, "truncated"),
        (b'{"decision": "\xff"}', 400, "utf-8"),
    ],
)
def test_what_is_no_decision_is_refused_with_what_is_wrong(body: bytes, status: int, reason: str) -> None:
    with pytest.raises(Problem, match=reason) as raised:
        decode_body(body, DecisionRequest)
    assert raised.value.status == status


def test_a_decision_is_read_with_any_name_that_can_be_seen() -> None:
    decision = decode_body(
        '{"decision": "assign", "assignee": "Jürgen 銀行", "note": "a\\nb"}'.encode(), DecisionRequest
    )
    assert (decision.assignee, decision.note) == ("Jürgen 銀行", "a\nb")


def test_a_problem_points_to_the_field_at_fault() -> None:
    problem = invalid("note", "is empty")
    assert problem.members["errors"][0].pointer == "#/note"
    assert "errors" not in invalid(None, "is not an object").members


async def anybody(_: web.Request) -> None:
    """Let everybody in."""


async def read_exemption(request: web.Request) -> web.Response:
    await read_body_as(request, ExemptionRequest)
    return web.Response()


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"\xff", 400), (b'{"group": {"more": ' + b"[" * 5_000, 400), (b'{"group": {}}', 422)],
)
async def test_a_body_that_is_none_is_malformed_and_one_that_lacks_a_field_invalid(body: bytes, status: int) -> None:
    app = web.Application(middlewares=[make_middleware(Metrics(), anybody)])
    app[SETTINGS] = Settings()
    app.add_routes([web.post("/", read_exemption)])
    headers = {"Content-Type": "application/json"}
    async with TestClient(TestServer(app)) as client, client.post("/", data=body, headers=headers) as response:
        assert response.status == status

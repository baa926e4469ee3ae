"""Authentication: the sender of a request by header or cookie, and changes from our own pages alone."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from service.access.authentication import COOKIE, Access, BadToken, Identity, authenticate, from_another_site, permit
from service.http.problems import Problem

ANN = Identity("ann", frozenset({"reviews:read"}))


class Tokens:
    async def identify(self, token: str) -> Identity:
        if token != "good":
            raise BadToken("nobody has this token")
        return ANN


ACCESS = Access(Tokens(), None)


def request(**headers: str) -> web.Request:
    return make_mocked_request("POST", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})


async def status_of(sent: web.Request, *, changes: bool = False) -> int:
    try:
        assert await authenticate(ACCESS, sent, changes=changes) is ANN
    except Problem as problem:
        return problem.status
    return 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer good"}, 200),
        ({"Authorization": "bearer  good "}, 200),
        ({"Authorization": "Bearer bad"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Basic good"}, 401),
        ({"Cookie": f"{COOKIE}=good"}, 200),
        ({"Authorization": "Bearer bad", "Cookie": f"{COOKIE}=good"}, 401),
        ({}, 401),
    ],
)
async def test_a_token_counts_in_the_header_or_else_in_the_cookie(headers: dict[str, str], status: int) -> None:
    assert await status_of(request(**headers)) == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Origin": "http://here", "Host": "here"}, 200),
        ({"Origin": "http://there", "Host": "here"}, 403),
        ({}, 403),
    ],
)
async def test_a_change_by_cookie_is_taken_from_our_own_page_alone(headers: dict[str, str], status: int) -> None:
    assert await status_of(request(Cookie=f"{COOKIE}=good", **headers), changes=True) == status


@pytest.mark.parametrize(
    ("origin", "host", "elsewhere"),
    [
        ("http://here:8000", "here:8000", False),
        ("https://here", "HERE:443", False),
        ("http://here", "here:80", False),
        ("http://[::1]:8000", "[::1]:8000", False),
        ("https://here", "here:8000", True),
        ("http://here:8000", "here", True),
        ("http://here.example", "here", True),
        ("null", "null", True),
        ("", "", True),
        ("file://", "here", True),
        ("http://[", "here", True),
        ("http://here", "here:x", True),
    ],
)
def test_a_page_is_ours_if_its_origin_is_the_host_that_was_asked(origin: str, host: str, *, elsewhere: bool) -> None:
    assert from_another_site(request(Origin=origin, Host=host)) is elsewhere


def test_a_program_that_names_no_site_is_of_no_other_site() -> None:
    assert not from_another_site(request())
    assert from_another_site(request(Sec_Fetch_Site="same-site"))


async def test_a_token_of_no_kind_that_is_taken_is_bad() -> None:
    for token in ("a.b.c", "é"):
        with pytest.raises(BadToken):
            await Access(None, None).identify(token)


def test_a_sender_without_the_scope_is_told_which() -> None:
    permit(ANN, "reviews:read")
    with pytest.raises(Problem) as caught:
        permit(ANN, "reviews:write")
    assert (caught.value.status, 'scope="reviews:write"' in caught.value.headers["WWW-Authenticate"]) == (403, True)

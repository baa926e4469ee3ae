"""What browsers are told with every answer."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from service.http.docs import page as docs_page
from service.http.pages import answer
from service.http.security_headers import protect


def request(**headers: str) -> web.Request:
    return make_mocked_request("GET", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})


async def headers_of(response: web.StreamResponse, **sent: str) -> dict[str, str]:
    await protect(request(**sent), response)
    return dict(response.headers)


@pytest.mark.parametrize("response", [web.Response(status=500), web.StreamResponse(), answer("index.html")])
async def test_every_answer_has_them(response: web.StreamResponse) -> None:
    found = await headers_of(response)
    assert found["X-Content-Type-Options"] == "nosniff"
    assert found["Referrer-Policy"] == "no-referrer"
    assert found["Cross-Origin-Resource-Policy"] == "same-origin"
    assert found["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in found["Content-Security-Policy"]
    assert found["Server"] == "Underten"


async def test_data_is_kept_nowhere_and_runs_nothing() -> None:
    found = await headers_of(web.Response())
    assert found["Cache-Control"] == "no-store"
    assert found["Content-Security-Policy"].startswith("default-src 'none'; frame")


async def test_pages_run_our_own_scripts_alone() -> None:
    for page in (answer("index.html"), answer("login.html"), await docs_page(request())):
        policy = dict(each.split(" ", 1) for each in (await headers_of(page))["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["base-uri"] == "'none'"
        assert "form-action" in policy


async def test_browsers_are_to_stay_with_https_where_it_is_spoken() -> None:
    assert "Strict-Transport-Security" not in await headers_of(web.Response())
    assert "Strict-Transport-Security" not in await headers_of(web.Response(), X_Forwarded_Proto="http")
    assert (await headers_of(web.Response(), X_Forwarded_Proto="https"))["Strict-Transport-Security"]

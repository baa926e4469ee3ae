"""Headers that tell browsers what they may do."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from service.http.docs import show_docs
from service.http.pages import page_response
from service.http.security_headers import add_headers


def request(**headers: str) -> web.Request:
    return make_mocked_request("GET", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})


async def headers_of(response: web.StreamResponse, **sent: str) -> dict[str, str]:
    await add_headers(request(**sent), response)
    return dict(response.headers)


@pytest.mark.parametrize("response", [web.Response(status=500), web.StreamResponse(), page_response("index.html")])
async def test_every_answer_has_them(response: web.StreamResponse) -> None:
    headers = await headers_of(response)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Server"] == "Underten"


async def test_data_is_kept_nowhere_and_runs_nothing() -> None:
    headers = await headers_of(web.Response())
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; frame")


async def test_pages_run_our_own_scripts_alone() -> None:
    for page in (page_response("index.html"), page_response("login.html"), await show_docs(request())):
        policy = dict(
            directive.split(" ", 1) for directive in (await headers_of(page))["Content-Security-Policy"].split("; ")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["base-uri"] == "'none'"
        assert "form-action" in policy


async def test_browsers_are_to_stay_with_https_where_it_is_spoken() -> None:
    assert "Strict-Transport-Security" not in await headers_of(web.Response())
    assert "Strict-Transport-Security" not in await headers_of(web.Response(), X_Forwarded_Proto="http")
    for proxies in ("https", "HTTPS", "https,http", " https , http"):
        assert (await headers_of(web.Response(), X_Forwarded_Proto=proxies))["Strict-Transport-Security"]
    assert "Strict-Transport-Security" not in await headers_of(web.Response(), X_Forwarded_Proto="http,https")

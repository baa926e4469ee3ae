"""A client speaks HTTPS where the first proxy on its way says so, in whichever header and case."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from service.access_settings import AccessSettings
from service.http.forwarded import by_https
from service.settings import SETTINGS, Settings


def request(headers: list[tuple[str, str]], *, trust: bool = True) -> web.Request:
    app = web.Application()
    app[SETTINGS] = Settings(access=AccessSettings(trust_forwarded=trust))
    return make_mocked_request("GET", "/", headers=headers, app=app)


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Forwarded-Proto", "https")],
        [("X-Forwarded-Proto", "https,http")],
        [("X-Forwarded-Proto", "HTTPS, http")],
        [("x-forwarded-proto", " Https ")],
        [("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")],
        [("X-Forwarded-Scheme", "https")],
        [("X-Scheme", "https")],
        [("X-Url-Scheme", "https")],
        [("X-Forwarded-Ssl", "on")],
        [("Front-End-Https", "On")],
        [("Forwarded", "for=192.0.2.60;proto=https;by=203.0.113.43")],
        [("Forwarded", 'For="[2001:db8:cafe::17]:4711";Proto="HTTPS", for=10.0.0.1;proto=http')],
        [("Forwarded", "proto=https"), ("Forwarded", "proto=http")],
        [("Forwarded", "for=192.0.2.60"), ("X-Forwarded-Proto", "https")],
        [("Forwarded", "for=[2001:db8::17]:4711;proto=https")],
        [("Forwarded", "for=192.0.2.60:4711 ; proto = https")],
        [("Forwarded", 'for="a, b\\",proto=http";proto="https"')],
        [("Forwarded", ", ,proto=https")],
        [("Forwarded", ""), ("Forwarded", "secret=x;PROTO=https")],
        [("Forwarded", ""), ("X-Forwarded-Proto", "https")],
        [("X-Forwarded-Proto", ",https")],
        [("X-Forwarded-Proto", ""), ("X-Scheme", "https")],
        [("X-Forwarded-Protocol", "ssl")],
        [("CloudFront-Forwarded-Proto", "https")],
    ],
)
def test_the_first_hop_by_https_is_https(headers: list[tuple[str, str]]) -> None:
    assert by_https(request(headers))
    assert not by_https(request(headers, trust=False))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("X-Forwarded-Proto", "http")],
        [("X-Forwarded-Proto", "http,https")],
        [("X-Forwarded-Proto", "")],
        [("X-Forwarded-Ssl", "off")],
        [("Forwarded", "for=192.0.2.60;proto=http, proto=https")],
        [("Forwarded", "proto=http"), ("X-Forwarded-Proto", "https")],
        [("Forwarded", "nonsense")],
        [("Forwarded", 'for="x;proto=https"')],
        [("Forwarded", 'host="a;proto=https";proto=http')],
        [("Forwarded", "for=[2001:db8::17];proto=http, proto=https")],
        [("X-Forwarded-Proto", "wss")],
    ],
)
def test_any_other_first_hop_is_not(headers: list[tuple[str, str]]) -> None:
    assert not by_https(request(headers))

"""Log lines of requests."""

import logging

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from service.http.request_log import AccessLogger


def test_a_path_is_logged_as_it_came_on_one_line_and_without_its_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    request = make_mocked_request("GET", "/%1Bx%0Afake?payor=100")
    AccessLogger(logging.getLogger("test"), "").log(request, web.Response(status=404), 0.0012)
    assert caplog.messages == ["GET /%1Bx%0Afake 404 1.2 ms"]

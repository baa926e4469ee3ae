"""The API's description and its page."""

import json

import pytest
from aiohttp.test_utils import make_mocked_request

from service.http.docs import description, serve_asset, show_docs, show_openapi
from service.http.problems import Problem


async def test_the_description_is_served_as_json() -> None:
    response = await show_openapi(make_mocked_request("GET", "/openapi.json"))
    assert response.content_type == "application/json"
    assert isinstance(response.body, bytes)
    assert json.loads(response.body)["openapi"].startswith("3.")
    assert response.body == description()


async def test_all_that_the_page_loads_is_served_here() -> None:
    page = await show_docs(make_mocked_request("GET", "/docs"))
    assert page.text is not None
    names = [part.split('"')[0] for part in page.text.split('"docs/')[1:]]
    assert names
    for name in names:
        request = make_mocked_request("GET", f"/docs/{name}", match_info={"file": name})
        assert (await serve_asset(request)).status == 200


async def test_any_other_file_is_not_found() -> None:
    request = make_mocked_request("GET", "/docs/x", match_info={"file": "../openapi.yaml"})
    with pytest.raises(Problem) as caught:
        await serve_asset(request)
    assert caught.value.status == 404

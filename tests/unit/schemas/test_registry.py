"""A registry, or a proxy before it: a schema of no use is the record's fault, nonsense is the registry's."""

from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from schemas.errors import RegistryUnavailable, SchemaError, SettingsError, UnknownSchema
from schemas.registry import Registry, RegistrySettings, WriterSchema

Answer = tuple[int, bytes]


@pytest.fixture
async def answering() -> AsyncIterator[Callable[[int, bytes], Registry]]:
    """Makes a registry that answers everything with this status and body; it counts in `requests`."""
    answer: list[Answer] = []

    async def say(request: web.Request) -> web.Response:
        status, body = answer[-1]
        requests.append(request.path)
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", say)
    async with TestServer(app) as server:

        def make(status: int, body: bytes) -> Registry:
            answer.append((status, body))
            requests.clear()
            return Registry(RegistrySettings(schema_registry_url=f"http://127.0.0.1:{server.port}"))

        yield make


requests: list[str] = []


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, b'{"schema":"<a/>","schemaType":"XML"}', "schema id 7 is XML"),
        (404, b'{"message":"none"}', "schema id 7 is unknown"),
        (422, b'{"message":"it has been deleted"}', "schema id 7 is refused by the registry: it has been deleted"),
    ],
)
async def test_a_schema_of_no_use_is_an_error_of_the_record_and_asked_for_once(
    answering: Callable[[int, bytes], Registry], status: int, body: bytes, reason: str
) -> None:
    registry = answering(status, body)
    for _ in range(3):
        with pytest.raises(SchemaError, match=reason):
            await registry.writer(7)
    assert len(requests) == 1


GUID = UUID("89791762-2336-186f-9674-299b90f4ed2b")


async def test_a_schema_is_asked_for_by_its_guid(answering: Callable[[int, bytes], Registry]) -> None:
    registry = answering(200, b'{"schema":"{}","schemaType":"JSON","guid":"89791762-2336-186f-9674-299b90f4ed2b"}')
    assert await registry.writer(GUID) == WriterSchema("{}", "JSON")
    assert requests == [f"/schemas/guids/{GUID}"]


@pytest.mark.parametrize("body", [b"", b'{"error_code":404,"message":"HTTP 404 Not Found"}'])
async def test_a_registry_without_guids_knows_none(answering: Callable[[int, bytes], Registry], body: bytes) -> None:
    with pytest.raises(UnknownSchema, match=f"schema GUID {GUID} is unknown to the registry"):
        await answering(404, body).writer(GUID)


async def test_a_proxys_page_in_place_of_a_guids_schema_is_no_answer(
    answering: Callable[[int, bytes], Registry],
) -> None:
    with pytest.raises(RegistryUnavailable):
        await answering(404, b"<html>").writer(GUID)
    with pytest.raises(RegistryUnavailable):
        await answering(200, b"").writer(GUID)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *[(status, b'{"message":"later"}') for status in (401, 403, 408, 429, 500, 503)],
        *[(200, body) for body in (b"<html>", b"\xff\xfe<html>", b"[]", b"7", b"null", b"{}", b'{"schema":7}')],
        (200, b'{"id":"seven"}'),
        (404, b"\xe9"),
    ],
)
async def test_nonsense_and_refusals_of_the_moment_are_no_answers(
    answering: Callable[[int, bytes], Registry], status: int, body: bytes
) -> None:
    registry = answering(status, body)
    for _ in range(2):
        with pytest.raises(RegistryUnavailable):
            await registry.writer(7)
        with pytest.raises(RegistryUnavailable):
            await registry.register("s", WriterSchema("{}", "JSON"))


@pytest.mark.parametrize("url", ["", "127.0.0.1:8081", "http://[::1:8081", "http://localhost:99999", "http://:8081"])
def test_an_address_that_is_none_is_refused_by_name(url: str) -> None:
    with pytest.raises(SettingsError, match="schema_registry_url must be"):
        RegistrySettings(schema_registry_url=url)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_time_that_would_never_be_over_is_refused_by_name(seconds: float) -> None:
    with pytest.raises(SettingsError, match="schema_registry_timeout"):
        RegistrySettings(schema_registry_timeout=seconds)


async def test_an_answer_of_nothing_but_brackets_is_none(answering: Callable[[int, bytes], Registry]) -> None:
    with pytest.raises(RegistryUnavailable, match="no JSON"):
        await answering(200, b"[" * 100_000).writer(7)

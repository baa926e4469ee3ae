"""The API's description says what the service does, and all of it."""

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

import schemas
from schemas.codecs import SCHEMAS, AvroCodec, ProtobufCodec
from schemas.kafka.topics import PAYMENT_AVRO, PAYMENT_JSON, PAYMENT_PROTOBUF
from schemas.payment import PostedPayment, to_payment
from service.app import routes, routes_by_scope
from service.http.docs import ASSETS, _asset_bytes, description
from service.queue.query import MAX_LIMIT, SORTS
from service.review.parameters import PAGING, PARAMETERS


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(description())
    return loaded


def test_it_is_valid_openapi(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_its_version_is_the_one_that_runs(document: dict[str, Any]) -> None:
    assert document["info"]["version"] == schemas.__version__


def test_every_route_is_described_and_every_description_has_a_route(document: dict[str, Any]) -> None:
    app = web.Application()
    app.add_routes(routes())
    served = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    served -= {("HEAD", path) for _, path in served}
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if method in {"get", "post", "put", "patch", "delete"}
    }
    assert described == served


def test_every_address_says_which_scope_it_takes(document: dict[str, Any]) -> None:
    for scope, guarded in routes_by_scope().items():
        for route in guarded:
            operation = document["paths"][route.path][route.method.lower()]
            expected = [{}, {"bearer": [scope]}, {"cookie": [scope]}] if scope else None
            assert operation.get("security") == expected, route
            assert scope is None or {"401", "403"} <= set(operation["responses"])
    assert set(document["components"]["securitySchemes"]) == {"bearer", "cookie"}


def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                name = response.get("$ref", "").rpartition("/")[2]
                content = (document["components"]["responses"][name] if name else response)["content"]
                assert int(status) < 400 or list(content) == ["application/problem+json"], (path, status)


def described_parameters(document: dict[str, Any], path: str) -> dict[str, Any]:
    listed = document["paths"][path]["get"]["parameters"]
    shared = document["components"]["parameters"]
    parameters = [shared[entry["$ref"].rpartition("/")[2]] if "$ref" in entry else entry for entry in listed]
    return {entry["name"]: entry["schema"] for entry in parameters}


def test_the_query_parameters_are_those_that_are_understood(document: dict[str, Any]) -> None:
    parameters = described_parameters(document, "/review-queue")
    understood = {name for names in PARAMETERS.values() for name in names}
    assert set(parameters) == understood
    for path, without in (("/review-queue.csv", {"limit", "cursor"}), ("/review-queue/counts", set(PAGING))):
        assert set(described_parameters(document, path)) == understood - without
    sorts = {sort for names in SORTS.values() for sort in names}
    assert set(parameters["sort"]["enum"]) == {*sorts, *(f"-{sort}" for sort in sorts)}
    assert parameters["limit"]["maximum"] == MAX_LIMIT


@pytest.mark.parametrize(
    ("topic", "binary"),
    [
        (PAYMENT_JSON, frozenset()),
        (PAYMENT_AVRO, AvroCodec(b"").media_types),
        (PAYMENT_PROTOBUF, ProtobufCodec(b"").media_types),
    ],
)
def test_the_media_types_are_those_that_are_taken(document: dict[str, Any], topic: str, binary: frozenset[str]) -> None:
    described = document["paths"][f"/{topic}"]["post"]["requestBody"]["content"]
    assert set(described) == {"application/json", "application/x-ndjson", *binary}


def test_the_payment_is_that_of_the_schema(document: dict[str, Any]) -> None:
    described = document["components"]["schemas"]["Payment"]
    registered = json.loads(SCHEMAS[PAYMENT_JSON].schema)
    assert set(described["required"]) == set(registered["required"])
    assert set(described["properties"]) == set(registered["properties"])


def test_the_examples_hold(document: dict[str, Any]) -> None:
    examples = document["components"]["examples"]
    payment = examples["Payment"]["value"]
    to_payment(payment, PostedPayment)
    for line in examples["Batch"]["value"].splitlines():
        to_payment(json.loads(line), PostedPayment)
    schema = {"$ref": "#/components/schemas/Page", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(examples["Page"]["value"])


def test_the_pages_files_are_in_the_package_that_ships_them() -> None:
    assert all(_asset_bytes(name) for name in ASSETS)

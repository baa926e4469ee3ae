"""Every answer is one that /openapi.json documents, whatever is asked: schemathesis against the running service.

FUZZ_EXAMPLES: how many random requests to each address.
"""

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import CheckFunction
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.specs.openapi.checks import allow_header_conformance, positive_data_acceptance

from compose.addresses import free_port
from schemas.codecs import AvroCodec, ProtobufCodec
from schemas.payment import Payment, encode_json
from service.http.docs import description
from tests.conftest import Servers
from tests.integration.processes import running, until_ready
from tests.integration.serving import case as case_of
from tests.integration.serving import put_cases

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "8"))

payments = st.builds(
    Payment,
    st.uuids().map(str),
    st.text("abc é", min_size=1, max_size=200),
    st.integers(-1, 2**31 - 1),
    st.integers(0, 10**15).map(lambda cents: cents / 100),
    st.text("abc", max_size=40),
    st.integers(0, 2**31 - 1),
)
for codec in (AvroCodec(b""), ProtobufCodec(b"")):
    name, *aliases = sorted(codec.media_types)
    schemathesis.openapi.media_type(name, st.binary() | payments.map(codec.encode), aliases=aliases)
schemathesis.openapi.media_type(
    "application/x-ndjson", st.lists(payments.map(encode_json) | st.binary(), min_size=1, max_size=5).map(b"\n".join)
)

generation = GenerationConfig(max_examples=EXAMPLES, deterministic=EXAMPLES < 100)
schema = schemathesis.openapi.from_dict(
    json.loads(description()),
    config=SchemathesisConfig(projects=ProjectsConfig(default=ProjectConfig(generation=generation))),
)

LEFT_OUT: dict[str, list[CheckFunction]] = {
    # What a valid payment is in binary, a cursor, which decision takes which fields, which parameter goes with which
    # kind of line, and what is in the future, no JSON Schema says.
    "/payment_avro": [positive_data_acceptance],
    "/payment_protobuf": [positive_data_acceptance],
    "/payment_json": [positive_data_acceptance],
    "/review-queue": [positive_data_acceptance],
    "/review-queue.csv": [positive_data_acceptance],
    "/review-queue/counts": [positive_data_acceptance],
    "/review-queue/subjects/{subject_id}/decisions": [positive_data_acceptance],
    "/review-queue/exemptions": [positive_data_acceptance],
    "/review-queue/exemptions/{exemption_id}/end": [positive_data_acceptance],
    "/review-queue/{case_id}/decisions": [positive_data_acceptance],
    # GET is allowed there: as a case of that name, which there is not.
    "/review-queue/decisions": [positive_data_acceptance, allow_header_conformance],
}


@pytest.fixture(scope="module")
def service(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address; there are cases in its queue."""
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    address = f"http://127.0.0.1:{port}"
    settings = {"SERVICE_PORT": str(port), "QUEUE_VIEW": str(folder / "view.sqlite")}
    with running(servers, folder / "service.log", "service", **settings):
        asyncio.run(until_ready(address))
        asyncio.run(put_cases(servers.kafka_settings, *(case_of(1001, number) for number in range(3))))
        yield address


@schema.exclude(path="/review-queue/events").parametrize()  # it never ends
def test_every_answer_is_documented(case: schemathesis.Case[Any], service: str) -> None:
    case.call_and_validate(base_url=service, excluded_checks=LEFT_OUT.get(case.operation.path, []))


def test_every_wrong_method_is_answered_with_those_that_there_are(service: str) -> None:
    for path, operations in schema.raw_schema["paths"].items():
        answer = httpx.request("PATCH", service + path.replace("{", "").replace("}", ""))
        assert answer.status_code == 405
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert {method.upper() for method in operations} <= {
            method.strip() for method in answer.headers["Allow"].split(",")
        }

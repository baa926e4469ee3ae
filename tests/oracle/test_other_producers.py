"""Records of other producers: the second engine reads as Python does, but for those of docs/ksqldb.md's table."""

import json
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jpype
import pytest

from schemas import wire_format
from schemas.errors import PaymentError
from schemas.kafka.topics import PAYMENT_AVRO, PAYMENT_PROTOBUF
from schemas.registry import WriterSchema
from tests.oracle.kafka_streams import start_java
from tests.unit.schemas.test_payment_reader import (
    ACCOUNTS,
    AMOUNT,
    AVRO_TYPES,
    DECIMALS,
    FIELDS,
    PROTO,
    TEXTS,
    Record,
    avro_payload,
    avro_schema,
    read,
)

Example = tuple[WriterSchema, bytes]
"""A schema, and what stands behind its id."""


def avro(schema: Any, **changes: Any) -> Example:
    return WriterSchema(json.dumps(schema), "AVRO"), avro_payload(schema, **changes)


def proto(schema: str, payload: bytes) -> Example:
    return WriterSchema(schema, "PROTOBUF"), b"\0" + payload


def proto_at(indexes: bytes, before: str, schema: str, after: str) -> Example:
    """A message somewhere else than first in its file."""
    text = schema.replace("message Wire", before + "message Wire") + after
    return WriterSchema(text, "PROTOBUF"), indexes + TEXTS + ACCOUNTS + AMOUNT


WRAPPED = PROTO.replace("message", 'import "google/protobuf/wrappers.proto";\nmessage').replace(
    "double payment_amount", "google.protobuf.DoubleValue payment_amount"
)
NOTED = PROTO.replace("message", 'import "confluent/meta.proto";\nmessage')
METHOD = {"type": "enum", "name": "Method", "symbols": ["ACH", "WIRE"]}
READ_BY_BOTH: dict[str, Example] = {
    "another record's name": avro(avro_schema("io.confluent.connect.avro.ConnectDefault")),
    "an Avro enum": avro(avro_schema(payment_method=METHOD)),
    "accounts as long": avro(avro_schema(payee_account_no="long", payor_account_no="long")),
    "an Avro decimal": avro(avro_schema(payment_amount=DECIMALS["bytes"]), payment_amount=Decimal("9999.99")),
    "a fixed decimal": avro(avro_schema(payment_amount=DECIMALS["fixed"]), payment_amount=Decimal("9999.99")),
    "null beside each": avro(avro_schema(**{name: ["null", kind] for name, kind in AVRO_TYPES.items()})),
    "names in capitals": (
        WriterSchema(json.dumps(avro_schema()).replace("payee_bank", "PAYEE_BANK"), "AVRO"),
        avro_payload(avro_schema()),
    ),
    "null beside the record": avro(["null", avro_schema()]),
    "the second message of a file": proto_at(b"\x02\x02", "message First { int32 number = 1; }\n", PROTO, ""),
    "a message in another": proto_at(b"\x04\x00\x00", "message Outer { ", PROTO, "}"),
    "Protobuf names in capitals": proto(PROTO.replace("payee_bank", "PAYEE_BANK"), TEXTS + ACCOUNTS + AMOUNT),
    "a Protobuf enum": proto(
        PROTO.replace("string payment_method", "Method payment_method") + "enum Method { UNKNOWN = 0; ACH = 3; }",
        TEXTS.removesuffix(b"\x2a\x03ACH") + ACCOUNTS + AMOUNT + b"\x28\x03",
    ),
    "a wrapper": proto(WRAPPED, TEXTS + ACCOUNTS + b"\x22\x09\x09" + AMOUNT[1:]),
}
READ_BY_PYTHON_ALONE: dict[str, Example] = {
    "confluent/meta.proto": proto(NOTED, TEXTS + ACCOUNTS + AMOUNT),
    "confluent.type.Decimal": proto(
        PROTO.replace("message", 'import "confluent/type/decimal.proto";\nmessage').replace(
            "double payment_amount", "confluent.type.Decimal payment_amount"
        ),
        TEXTS + ACCOUNTS + b"\x22\x07\x0a\x03" + (999999).to_bytes(3, "big") + b"\x18\x02",
    ),
}


@pytest.fixture(scope="module")
def registry() -> Iterator[tuple[str, dict[int, WriterSchema]]]:
    schemas: dict[int, WriterSchema] = {}

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            schema = schemas[int(self.path.rpartition("/")[2])]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"schema": schema.schema, "schemaType": schema.schema_type}).encode())

        def log_message(self, *arguments: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", schemas
    server.shutdown()
    thread.join()
    server.server_close()


def by_java(registry: tuple[str, dict[int, WriterSchema]], example: Example) -> Any:
    start_java()
    url, schemas = registry
    schema, behind_id = example
    schema_id = len(schemas) + 1
    schemas[schema_id] = schema
    streams = jpype.JPackage("streams")
    deserializer = streams.PaymentDeserializer(streams.SchemaRegistry(url))
    value = wire_format.header(schema_id) + behind_id
    return deserializer.deserialize("any", jpype.JArray(jpype.JByte)(value))


def by_python(example: Example) -> Any:
    schema, behind_id = example
    topic = PAYMENT_AVRO if schema.schema_type == "AVRO" else PAYMENT_PROTOBUF
    return read(Record(topic, wire_format.header(1) + behind_id), schema)


@pytest.mark.parametrize("kind", READ_BY_BOTH)
def test_both_engines_read_the_same_payment(kind: str, registry: Any) -> None:
    payment = by_java(registry, READ_BY_BOTH[kind])
    assert {
        "id": str(payment.id()),
        "payee_bank": str(payment.payeeBank()),
        "payee_account_no": int(payment.payeeAccountNo()),
        "payment_amount": float(payment.amount()),
        "payor_account_no": int(payment.payorAccountNo()),
    } == {name: value for name, value in FIELDS.items() if name != "payment_method"}
    assert by_python(READ_BY_BOTH[kind]).payment_amount == FIELDS["payment_amount"]


@pytest.mark.parametrize(
    "changes",
    [
        {"payment_amount": -1.0},
        {"payment_amount": 0.0},
        {"payment_amount": 12.345},
        {"payment_amount": 1e12 + 1},
        {"payment_amount": float("nan")},
        {"payor_account_no": -1},
        {"payee_account_no": 2**31},
        {"payee_account_no": 1.5},
    ],
)
def test_what_is_no_payment_by_its_numbers_is_none_for_either(changes: dict[str, Any], registry: Any) -> None:
    kinds = dict.fromkeys(changes, "double")
    example = avro(avro_schema(**kinds), **changes)
    with pytest.raises(PaymentError):
        by_python(example)
    with pytest.raises(jpype.JException):
        by_java(registry, example)


@pytest.mark.parametrize("kind", READ_BY_PYTHON_ALONE)
def test_what_python_alone_reads_is_in_the_table(kind: str, registry: Any) -> None:
    by_python(READ_BY_PYTHON_ALONE[kind])
    with pytest.raises(jpype.JException):
        by_java(registry, READ_BY_PYTHON_ALONE[kind])

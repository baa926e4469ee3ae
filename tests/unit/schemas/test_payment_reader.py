"""Records of other producers: the same payment is read from whatever schema of theirs it was written with."""

import asyncio
import io
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import msgspec
import pytest

from schemas import wire_format
from schemas.errors import PaymentError, UndecodableError, UnknownSchema
from schemas.kafka.topics import PAYMENT_AVRO, PAYMENT_JSON, PAYMENT_PROTOBUF
from schemas.payment import ForeignPayment
from schemas.payment_reader import PaymentReader
from schemas.registry import Reference, WriterSchema
from schemas.wire_format import SchemaReference

GUID = UUID("89791762-2336-186f-9674-299b90f4ed2b")
FIELDS: dict[str, Any] = {
    "id": "6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b",
    "payee_bank": "First National",
    "payee_account_no": 200,
    "payment_amount": 9999.99,
    "payment_method": "ACH",
    "payor_account_no": 100,
}
PAYMENT = ForeignPayment(**FIELDS)
AVRO_TYPES: dict[str, Any] = {
    "id": "string",
    "payee_bank": "string",
    "payee_account_no": "int",
    "payment_amount": "double",
    "payment_method": "string",
    "payor_account_no": "int",
}
PROTO = """\
syntax = "proto3";
message Wire {
  string id = 1;
  string payee_bank = 2;
  int32 payee_account_no = 3;
  double payment_amount = 4;
  string payment_method = 5;
  int32 payor_account_no = 6;
}
"""
TEXTS = b"\x0a\x24" + FIELDS["id"].encode() + b"\x12\x0eFirst National\x2a\x03ACH"
"""The three texts, as Protobuf writes the fields 1, 2 and 5."""
ACCOUNTS = b"\x18\xc8\x01\x30\x64"
AMOUNT = b"\x21" + struct.pack("<d", FIELDS["payment_amount"])


@dataclass
class Record:
    """A record of Kafka's."""

    topic: str
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class Writers:
    """A registry of schemas by id or GUID, and of those that others import by name."""

    schemas: Mapping[SchemaReference, WriterSchema]
    imports: Mapping[str, WriterSchema] = field(default_factory=dict)

    async def writer(self, reference: SchemaReference) -> WriterSchema:
        if reference not in self.schemas:
            raise UnknownSchema(f"schema {reference} is unknown to the registry")
        return self.schemas[reference]

    async def resolve(self, reference: Reference) -> WriterSchema:
        return self.imports[reference.name]


def read(record: Record, schema: WriterSchema, **imports: WriterSchema) -> ForeignPayment:
    reader = PaymentReader(Writers({1: schema, GUID: schema}, imports))  # type: ignore[arg-type]
    asyncio.run(reader.learn([record]))
    payment = reader.read(record)
    assert isinstance(payment, ForeignPayment)
    return payment


def avro_schema(name: str = "Payment", **types: Any) -> dict[str, Any]:
    fields = [{"name": field, "type": kind} for field, kind in {**AVRO_TYPES, **types}.items()]
    return {"type": "record", "name": name, "fields": fields}


def avro_payload(schema: Any, **changes: Any) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), {**FIELDS, **changes})
    return stream.getvalue()


def read_avro(schema: Any, **changes: Any) -> ForeignPayment:
    value = wire_format.header(1) + avro_payload(schema, **changes)
    return read(Record(PAYMENT_AVRO, value), WriterSchema(json.dumps(schema), "AVRO"))


def reason_of_avro(schema: Any, **changes: Any) -> str:
    with pytest.raises(PaymentError) as caught:
        read_avro(schema, **changes)
    return str(caught.value)


def read_proto(schema: str, payload: bytes) -> ForeignPayment:
    value = wire_format.header(1) + b"\0" + payload
    return read(Record(PAYMENT_PROTOBUF, value), WriterSchema(schema, "PROTOBUF"))


def test_an_avro_error_is_a_record_too() -> None:
    assert read_avro({**avro_schema(), "type": "error"}) == PAYMENT


@pytest.mark.parametrize("name", ["io.confluent.connect.avro.ConnectDefault", "a.b.Transfer", "Payment"])
def test_the_fields_of_an_avro_record_count_and_not_its_name(name: str) -> None:
    assert read_avro(avro_schema(name)) == PAYMENT


def test_an_avro_record_may_have_more_fields_and_null_beside_each_type() -> None:
    schema = avro_schema(**{name: ["null", kind] for name, kind in AVRO_TYPES.items()}, branch="long")
    assert read_avro(schema, branch=7) == PAYMENT


def test_an_avro_field_that_is_null_is_missing_by_name() -> None:
    schema = avro_schema(payee_bank=["null", "string"])
    assert "payee_bank" in reason_of_avro(schema, payee_bank=None)


def test_columns_in_capitals_are_read_as_sql_reads_them() -> None:
    schema = {
        "type": "record",
        "name": "KsqlDataSourceSchema",
        "fields": [{"name": name.upper(), "type": ["null", kind]} for name, kind in AVRO_TYPES.items()],
    }
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, {name.upper(): value for name, value in FIELDS.items()})
    record = Record(PAYMENT_AVRO, wire_format.header(1) + stream.getvalue())
    assert read(record, WriterSchema(json.dumps(schema), "AVRO")) == PAYMENT


@pytest.mark.parametrize("kind", [{"type": "enum", "name": "Method", "symbols": ["ACH", "WIRE"]}, "string"])
def test_an_avro_enum_is_its_name(kind: Any) -> None:
    assert read_avro(avro_schema(payment_method=kind)) == PAYMENT


DECIMALS = {
    "bytes": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2},
    "fixed": {"type": "fixed", "name": "Amount", "size": 9, "logicalType": "decimal", "precision": 18, "scale": 2},
    "of more digits": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 10},
}


@pytest.mark.parametrize("nullable", [False, True])
@pytest.mark.parametrize("kind", DECIMALS)
@pytest.mark.parametrize("amount", ["9999.99", "0.01", "4000", "999999999999.99", "1000000000000"])
def test_an_avro_decimal_is_read_exactly(kind: str, amount: str, *, nullable: bool) -> None:
    decimal: Any = ["null", DECIMALS[kind]] if nullable else DECIMALS[kind]
    payment = read_avro(avro_schema(payment_amount=decimal), payment_amount=Decimal(amount))
    assert payment.payment_amount == float(amount)


def test_a_decimal_that_is_named_elsewhere_is_one() -> None:
    schema = avro_schema(spare=DECIMALS["fixed"])
    fields = {field["name"]: field for field in schema["fields"]}
    schema["fields"] = [fields.pop("spare"), *fields.values()]
    fields["payment_amount"]["type"] = "Amount"
    assert read_avro(schema, spare=Decimal("1.00"), payment_amount=Decimal("9999.99")) == PAYMENT


def test_more_than_two_decimals_of_a_decimal_are_refused_before_a_double_rounds_them_away() -> None:
    schema = avro_schema(payment_amount={"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 20})
    reason = reason_of_avro(schema, payment_amount=Decimal("9999.99999999999999999"))
    assert reason == "payment_amount: at most two decimals"


@pytest.mark.parametrize("amount", ["1000000000000.01", f"{10**50}.5", f"-{10**50}.5"])
def test_a_decimal_of_more_than_any_amount_is_refused_by_the_field(amount: str) -> None:
    schema = avro_schema(payment_amount={"type": "bytes", "logicalType": "decimal", "precision": 60, "scale": 5})
    assert reason_of_avro(schema, payment_amount=Decimal(amount)).startswith("payment_amount: Expected")


@pytest.mark.parametrize(
    ("kind", "account"),
    [("long", 200), ({"type": "bytes", "logicalType": "decimal", "precision": 10}, Decimal(200)), ("double", 200.0)],
)
def test_an_account_number_of_any_type_is_taken_within_int32(kind: Any, account: Any) -> None:
    schema = avro_schema(payee_account_no=kind)
    assert read_avro(schema, payee_account_no=account) == PAYMENT
    too_much = type(account)(2**31)
    assert "payee_account_no" in reason_of_avro(schema, payee_account_no=too_much)


def test_a_uuid_in_sixteen_bytes_is_an_id() -> None:
    schema = avro_schema(id={"type": "fixed", "name": "Id", "size": 16, "logicalType": "uuid"})
    plain = avro_schema(id={"type": "fixed", "name": "Id", "size": 16})
    value = wire_format.header(1) + avro_payload(plain, id=UUID(FIELDS["id"]).bytes)
    assert read(Record(PAYMENT_AVRO, value), WriterSchema(json.dumps(schema), "AVRO")) == PAYMENT


def test_types_from_other_subjects_are_looked_up() -> None:
    method = {"type": "enum", "name": "bank.Method", "symbols": ["ACH"]}
    schema = avro_schema(payment_method="bank.Method")
    whole = avro_schema(payment_method=method)
    writer = WriterSchema(json.dumps(schema), "AVRO", (Reference("bank.Method", "bank.Method", 1),))
    record = Record(PAYMENT_AVRO, wire_format.header(1) + avro_payload(whole))
    assert read(record, writer, **{"bank.Method": WriterSchema(json.dumps(method), "AVRO")}) == PAYMENT


@pytest.mark.parametrize(
    "schema",
    [
        '{"type": "record", "name": "Payment", "fields": [' + '{"name": "f", "type": "nonsense"}, ' * 500 + "]}",
        json.dumps(avro_schema(payment_method={"type": "enum", "name": "M", "symbols": ["no good " * 100]})),
        '"string"',
        "x" * 10_000,
    ],
)
def test_a_reason_is_short_and_prints_no_schema(schema: str) -> None:
    with pytest.raises(PaymentError) as caught:
        read(Record(PAYMENT_AVRO, wire_format.header(1) + b"\0"), WriterSchema(schema, "AVRO"))
    assert len(str(caught.value)) <= 300
    assert "nonsense" not in str(caught.value)
    assert "Avro" in str(caught.value)


@pytest.mark.parametrize("content", [wire_format.header(1), b"\1" + GUID.bytes], ids=["id", "guid"])
def test_a_schema_that_a_header_names_is_read(content: bytes) -> None:
    headers = [("__value_schema_id", content)]
    schema = avro_schema()
    record = Record(PAYMENT_AVRO, avro_payload(schema), headers)
    assert read(record, WriterSchema(json.dumps(schema), "AVRO")) == PAYMENT
    record = Record(PAYMENT_JSON, msgspec.json.encode(FIELDS), headers)
    assert read(record, WriterSchema("{}", "JSON")) == PAYMENT
    record = Record(PAYMENT_PROTOBUF, TEXTS + ACCOUNTS + AMOUNT, [("__value_schema_id", content + b"\0")])
    assert read(record, WriterSchema(PROTO, "PROTOBUF")) == PAYMENT


@pytest.mark.parametrize(
    "import_path",
    ["confluent/meta.proto", "confluent/type/decimal.proto", "google/type/money.proto", "google/protobuf/any.proto"],
)
def test_imports_that_registries_have_built_in_are_known(import_path: str) -> None:
    schema = PROTO.replace("message", f'import "{import_path}";\nmessage')
    assert read_proto(schema, TEXTS + ACCOUNTS + AMOUNT) == PAYMENT


def test_notes_and_decimals_of_confluent_s_tools_are_read() -> None:
    schema = PROTO.replace(
        "message", 'import "confluent/meta.proto";\nimport "confluent/type/decimal.proto";\nmessage'
    ).replace(
        "  double payment_amount = 4;",
        """\
  confluent.type.Decimal payment_amount = 4 [(confluent.field_meta) = {
    params: [{key: "precision", value: "18"}, {key: "scale", value: "2"}]
  }];
  confluent.type.Decimal spare = 9;""",
    )
    unscaled = (999999).to_bytes(3, "big")
    decimal = b"\x0a\x03" + unscaled + b"\x10\x12\x18\x02"
    assert read_proto(schema, TEXTS + ACCOUNTS + b"\x22" + bytes([len(decimal)]) + decimal) == PAYMENT


def test_wrappers_are_what_they_wrap() -> None:
    schema = (
        PROTO.replace("message", 'import "google/protobuf/wrappers.proto";\nmessage')
        .replace("double payment_amount", "google.protobuf.DoubleValue payment_amount")
        .replace("int32 payee_account_no", "google.protobuf.Int64Value payee_account_no")
        .replace("string payee_bank", "google.protobuf.StringValue payee_bank")
    )
    texts = TEXTS.replace(b"\x12\x0eFirst National", b"\x12\x10\x0a\x0eFirst National")
    payload = texts + b"\x30\x64" + b"\x1a\x03\x08\xc8\x01" + b"\x22\x09\x09" + AMOUNT[1:]
    assert read_proto(schema, payload) == PAYMENT
    with pytest.raises(PaymentError, match="payment_amount"):
        read_proto(schema, texts + b"\x30\x64" + b"\x1a\x03\x08\xc8\x01")


def test_a_proto2_field_that_is_not_set_is_its_default() -> None:
    schema = """\
syntax = "proto2";
message Wire {
  required string id = 1;
  optional string payee_bank = 2 [default = "First National"];
  optional int32 payee_account_no = 3 [default = 200];
  required double payment_amount = 4;
  optional Method payment_method = 5 [default = ACH];
  optional int64 payor_account_no = 6;
  enum Method { WIRE = 1; ACH = 2; }
}
"""
    payload = b"\x0a\x24" + FIELDS["id"].encode() + AMOUNT
    assert read_proto(schema, payload + b"\x30\x64") == PAYMENT
    with pytest.raises(PaymentError, match="payor_account_no"):
        read_proto(schema, payload)


def test_a_protobuf_enum_is_its_name() -> None:
    schema = PROTO.replace("string payment_method", "Method payment_method") + "enum Method { UNKNOWN = 0; ACH = 3; }"
    texts = TEXTS.removesuffix(b"\x2a\x03ACH") + ACCOUNTS + AMOUNT
    assert read_proto(schema, texts + b"\x28\x03") == PAYMENT
    with pytest.raises(PaymentError, match="payment_method: 7 is no value of its enum"):
        read_proto(schema, texts + b"\x28\x07")


MONEY = PROTO.replace("message", 'import "google/type/money.proto";\nmessage').replace("double", "google.type.Money")


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (PROTO.replace("double", "repeated double"), "payment_amount: is repeated"),
        (MONEY, "payment_amount: is a message, which no payment's field is"),
        (PROTO.replace("string payee_bank", "bytes payee_bank"), "payee_bank: Expected `str`, got `bytes`"),
    ],
)
def test_a_protobuf_field_of_a_type_that_is_no_payment_s_is_named(schema: str, reason: str) -> None:
    amount = b"\x22\x03\x0a\x01x" if schema is MONEY else AMOUNT
    with pytest.raises(PaymentError) as caught:
        read_proto(schema, TEXTS + ACCOUNTS + amount)
    assert str(caught.value) == reason


GOOGLE_DECIMAL = PROTO.replace("message", 'import "google/type/decimal.proto";\nmessage').replace(
    "double", "google.type.Decimal"
)


def google_decimal(amount: str) -> bytes:
    return TEXTS + ACCOUNTS + b"\x22" + bytes([len(amount) + 2]) + b"\x0a" + bytes([len(amount)]) + amount.encode()


@pytest.mark.parametrize("amount", ["9999.99", "+9999.990", "999999E-2", "0.999999e4", "9999.99e0"])
def test_a_decimal_of_google_s_is_read_exactly(amount: str) -> None:
    assert read_proto(GOOGLE_DECIMAL, google_decimal(amount)) == PAYMENT


@pytest.mark.parametrize(
    "amount", ["", "NaN", "Infinity", "1e9999", "9999.991", "1_000", " 5", "x", ".", "-1", "1e400"]
)
def test_a_decimal_of_google_s_that_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(PaymentError, match=r"decimal|payment_amount"):
        read_proto(GOOGLE_DECIMAL, google_decimal(amount))


@pytest.mark.parametrize("value", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])
def test_a_byte_order_mark_is_named(value: bytes) -> None:
    with pytest.raises(UndecodableError, match="BOM"):
        read(Record(PAYMENT_JSON, value + msgspec.json.encode(FIELDS)), WriterSchema("{}", "JSON"))


def test_bare_json_may_begin_with_blanks() -> None:
    assert read(Record(PAYMENT_JSON, b" \r\n" + msgspec.json.encode(FIELDS)), WriterSchema("{}", "JSON")) == PAYMENT


def test_what_is_in_json_of_a_registered_schema_is_read_together_whatever_its_request_is_called() -> None:
    framed = wire_format.header(1) + msgspec.json.encode(FIELDS)
    ordinary = [Record(PAYMENT_JSON, framed), Record(PAYMENT_JSON, framed, [("request_id", b"r")])]
    others = [
        Record(PAYMENT_JSON, framed, [("request_id", b"r"), (wire_format.SCHEMA_HEADER, wire_format.header(1))]),
        Record(PAYMENT_JSON, msgspec.json.encode(FIELDS)),
        Record(PAYMENT_AVRO, framed),
        Record(PAYMENT_JSON, None),
    ]
    reader = PaymentReader(Writers({1: WriterSchema("{}", "JSON")}))  # type: ignore[arg-type]
    records = [*others, *ordinary]
    asyncio.run(reader.learn(records))
    payments = reader.read_ordinary(records)
    assert payments[: len(others)] == [None] * len(others)
    for payment in payments[len(others) :]:
        assert payment is not None
        assert msgspec.structs.asdict(payment) == FIELDS

"""The three formats of a payment: writing our schema, reading any writer's.

Writing: a `PaymentCodec` per topic, with the schema id under which our schema stands in the registry. Reading from a
topic: `PaymentReader` resolves each record's own schema. Avro is resolved from the writer's schema to ours; a Protobuf
message is read by the writer's own descriptor, field by name; JSON says by itself what it holds. In all three, fields
that we do not know are ignored and a field that is missing is an error. An Avro schema has to be whole: types that it
takes from another subject are not looked up, and its records are rejected.
"""

import asyncio
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Any, Protocol

import fastavro
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from schemas import payment_pb2, wire_format
from schemas.avro import writer_schema
from schemas.errors import PaymentError, SchemaError, UndecodableError
from schemas.kafka.topics import PAYMENT_AVRO, PAYMENT_JSON, PAYMENT_PROTOBUF, REVIEW_QUEUE
from schemas.payment import FIELDS, ForeignPayment, Payment, PostedPayment, encode_json, json_reader, to_payment
from schemas.protobuf import message_classes
from schemas.registry import Registry, SchemaType, WriterSchema

decode_posted = json_reader(PostedPayment)
"""A payment from a JSON body; raises PaymentError that names the field, UndecodableError if it is no JSON."""

_read_json = json_reader(ForeignPayment)


def schema_text(file: str) -> str:
    """A schema file of this folder."""
    return resources.files("schemas").joinpath(file).read_text(encoding="utf-8")


AVRO_SCHEMA = fastavro.parse_schema(json.loads(schema_text("payment.avsc")))

# payment.proto stands as Confluent's libraries print it, without comments: their deserialisers (ksqlDB's among them)
# print a schema anew and look that text up, and Apicurio finds it only if it is the same to the letter.
OURS: dict[str, WriterSchema] = {
    PAYMENT_JSON: WriterSchema(schema_text("payment.schema.json"), "JSON"),
    PAYMENT_AVRO: WriterSchema(schema_text("payment.avsc"), "AVRO"),
    PAYMENT_PROTOBUF: WriterSchema(schema_text("payment.proto"), "PROTOBUF"),
}

CASE = WriterSchema(schema_text("review_case.schema.json"), "JSON")


class PaymentCodec(Protocol):
    """One format of a payment, as the service writes it and takes it as a binary body."""

    @property
    def media_types(self) -> frozenset[str]:
        """Content types of the binary form; empty where JSON is the only one."""

    def encode(self, payment: Payment) -> bytes:
        """A record's value: wire-format header and payload."""

    def decode_body(self, body: bytes) -> PostedPayment:
        """A payment from its binary form, bare or in the wire format under our own schema's id.

        Raises:
            UndecodableError: the bytes are not that form, or there are some left over.
            PaymentError: a field is unknown or holds what it may not; it is named.
        """


@dataclass(frozen=True)
class JsonCodec:
    """`payment_json`."""

    header: bytes
    media_types: frozenset[str] = frozenset()

    def encode(self, payment: Payment) -> bytes:
        """See `PaymentCodec`."""
        return self.header + encode_json(payment)

    def decode_body(self, body: bytes) -> PostedPayment:
        """See `PaymentCodec`."""
        return decode_posted(_without(self.header, body))


@dataclass(frozen=True)
class AvroCodec:
    """`payment_avro`."""

    header: bytes
    media_types: frozenset[str] = frozenset({"avro/binary", "application/avro", "application/vnd.apache.avro+binary"})

    def encode(self, payment: Payment) -> bytes:
        """See `PaymentCodec`."""
        out = io.BytesIO(self.header)
        out.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(out, AVRO_SCHEMA, _fields(payment))
        return out.getvalue()

    def decode_body(self, body: bytes) -> PostedPayment:
        """See `PaymentCodec`."""
        return to_payment(_read_avro(_without(self.header, body), AVRO_SCHEMA), PostedPayment)


@dataclass(frozen=True)
class ProtobufCodec:
    """`payment_protobuf`. proto3 does not tell an account number 0 from an absent one: either is 0."""

    header: bytes
    media_types: frozenset[str] = frozenset(
        {"application/protobuf", "application/x-protobuf", "application/vnd.google.protobuf"}
    )

    def encode(self, payment: Payment) -> bytes:
        """See `PaymentCodec`."""
        message = payment_pb2.Payment(**_fields(payment))
        return self.header + message.SerializeToString()

    def decode_body(self, body: bytes) -> PostedPayment:
        """See `PaymentCodec`."""
        message = _parse(payment_pb2.Payment, _without(self.header, body))
        if unknown := [str(field.field_number) for field in UnknownFieldSet(message)]:  # type: ignore[attr-defined]
            raise PaymentError("unknown Protobuf field", f"#{unknown[0]}")
        return to_payment(_named(message), PostedPayment)


def _fields(payment: Payment) -> dict[str, Any]:
    """A payment's six fields by name; a subclass may have more of them."""
    return {
        "id": payment.id,
        "payee_bank": payment.payee_bank,
        "payee_account_no": payment.payee_account_no,
        "payment_amount": payment.payment_amount,
        "payment_method": payment.payment_method,
        "payor_account_no": payment.payor_account_no,
    }


def _without(header: bytes, body: bytes) -> bytes:
    """The payload of a body, which may carry the wire format: no bare payment begins with a zero byte."""
    return body.removeprefix(header)


def _read_avro(payload: bytes, writer: Any) -> dict[str, Any]:
    stream = io.BytesIO(payload)
    try:
        fields = fastavro.schemaless_reader(stream, writer, AVRO_SCHEMA)
    except (EOFError, IndexError, OverflowError):
        raise UndecodableError("Avro body is cut short") from None
    except Exception as error:  # noqa: BLE001 - fastavro raises whatever its primitives do
        raise UndecodableError(f"not Avro in the writer's schema: {error}") from None
    if stream.read(1):
        raise UndecodableError("bytes are left over after the Avro body")
    if not isinstance(fields, dict):
        raise UndecodableError("not an Avro record")
    return fields


def _parse(kind: type[Message], payload: bytes) -> Message:
    message = kind()
    try:
        message.ParseFromString(payload)
    except (DecodeError, RuntimeError):
        raise UndecodableError("not a Protobuf message of its type, or cut short") from None
    return message


def _named(message: Message) -> dict[str, Any]:
    """A message's fields by our names; what it does not declare, or leaves out and can tell so, stays missing."""
    declared = message.DESCRIPTOR.fields_by_name
    return {
        name: getattr(message, name)
        for name in FIELDS
        if name in declared and (not declared[name].has_presence or message.HasField(name))
    }


_HEADERS: dict[SchemaType, bytes] = {"JSON": b"", "AVRO": b"", "PROTOBUF": b"\0"}
_CODECS: dict[SchemaType, Callable[[bytes], PaymentCodec]] = {
    "JSON": JsonCodec,
    "AVRO": AvroCodec,
    "PROTOBUF": ProtobufCodec,
}


async def case_header(registry: Registry) -> bytes:
    """What stands before a case on `review_queue`, its schema registered; raises SchemaError, RegistryUnavailable."""
    return wire_format.header(await registry.register(f"{REVIEW_QUEUE}-value", CASE))


async def payment_codecs(registry: Registry) -> dict[str, PaymentCodec]:
    """A codec for each raw topic, its schema registered; raises SchemaError, RegistryUnavailable."""
    codecs = {}
    for topic, schema in OURS.items():
        schema_id = await registry.register(f"{topic}-value", schema)
        kind = schema.schema_type
        codecs[topic] = _CODECS[kind](wire_format.header(schema_id) + _HEADERS[kind])
    return codecs


class PaymentReader:
    """Reads payments from the raw topics, whoever wrote them.

    Two steps, so that the one that waits stands apart: `learn` asks the registry for the schemas of a batch that are
    new, `read` decodes and waits for nothing.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._decoders: dict[int, Decoder] = {}
        self._unreadable: dict[int, SchemaError] = {}

    async def learn(self, values: Iterable[bytes | None]) -> None:
        """Make `read` ready for these values; raises RegistryUnavailable."""
        ids = {wire_format.schema_id(value) for value in values if value and wire_format.is_framed(value)}
        self._unreadable = {}
        await asyncio.gather(*(self._learn(schema_id) for schema_id in ids - self._decoders.keys()))

    async def _learn(self, schema_id: int) -> None:
        try:
            writer = await self._registry.writer(schema_id)
        except SchemaError as error:
            self._unreadable[schema_id] = error
            return
        try:
            self._decoders[schema_id] = await _decoder(writer, self._registry)
        except SchemaError as error:
            # For good: an id never changes its schema, and to find out anew with each batch would cost too much.
            self._decoders[schema_id] = writer.schema_type, _refusing(str(error))

    def read(self, topic: str, value: bytes | None) -> Payment:
        """The payment in a record's value, after `learn` has seen it.

        Raises:
            UndecodableError: the bytes are no payment in the topic's format.
            PaymentError: a field is missing, or holds what it may not; it is named.
        """
        if value is None:
            raise UndecodableError("null value")
        if topic == PAYMENT_JSON and value.startswith(b"{"):
            return _read_json(value)
        schema_id = wire_format.schema_id(value)
        if schema_id in self._unreadable:
            raise UndecodableError(str(self._unreadable[schema_id]))
        kind, decode = self._decoders[schema_id]
        if kind != OURS[topic].schema_type:
            raise UndecodableError(f"schema id {schema_id} is {kind}, not {OURS[topic].schema_type}")
        return decode(value)


Decoder = tuple[SchemaType, Callable[[bytes], Payment]]


async def _decoder(writer: WriterSchema, registry: Registry) -> Decoder:
    """What reads values that begin with this writer's id; raises SchemaError if its schema makes no sense."""
    match writer.schema_type:
        case "JSON":
            return "JSON", lambda value: _read_json(value[wire_format.HEADER_BYTES :])
        case "AVRO":
            schema = writer_schema(writer.schema)
            return "AVRO", lambda value: to_payment(
                _read_avro(value[wire_format.HEADER_BYTES :], schema), ForeignPayment
            )
        case "PROTOBUF":
            message_class = await message_classes(writer, registry)
            return "PROTOBUF", lambda value: _read_protobuf(value, message_class)


def _refusing(reason: str) -> Callable[[bytes], Payment]:
    def refuse(value: bytes) -> Payment:
        raise UndecodableError(reason)

    return refuse


def _read_protobuf(value: bytes, message_class: Callable[[tuple[int, ...]], type[Message]]) -> Payment:
    path, payload_at = wire_format.message_indexes(value)
    return to_payment(_named(_parse(message_class(path), value[payload_at:])), ForeignPayment)

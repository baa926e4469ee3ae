"""The three formats of a payment as this project writes them: a `PaymentCodec` per topic, under our own schemas.

What any writer wrote on the topics is read by `schemas.payment_reader`.
"""

import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Protocol

import fastavro
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from schemas import payment_pb2, wire_format
from schemas.avro import read_record
from schemas.errors import PaymentError
from schemas.kafka.topics import PAYMENT_AVRO, PAYMENT_JSON, PAYMENT_PROTOBUF, REVIEW_QUEUE
from schemas.payment import FIELDS, Payment, PostedPayment, encode_json, json_reader, to_payment
from schemas.protobuf import parse_message
from schemas.registry import READERS_GO_ON, Registry, SchemaType, WriterSchema

decode_posted = json_reader(PostedPayment)
"""A payment from a JSON body; raises PaymentError that names the field, UndecodableError if it is no JSON."""


def schema_text(file: str) -> str:
    """A schema file of this folder."""
    return resources.files("schemas").joinpath(file).read_text(encoding="utf-8")


def _interned(value: Any) -> Any:
    """A schema whose texts are Python's own copies, which fastavro compares sooner than equal ones."""
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, list):
        return [_interned(item) for item in value]
    if isinstance(value, dict):
        return {_interned(name): _interned(item) for name, item in value.items()}
    return value


AVRO_SCHEMA = fastavro.parse_schema(_interned(json.loads(schema_text("payment.avsc"))))

# payment.proto stands as Confluent's libraries print it, without comments: their deserialisers (ksqlDB's among them)
# print a schema anew and look that text up, and Apicurio finds it only if it is the same to the letter.
SCHEMAS: dict[str, WriterSchema] = {
    PAYMENT_JSON: WriterSchema(schema_text("payment.schema.json"), "JSON"),
    PAYMENT_AVRO: WriterSchema(schema_text("payment.avsc"), "AVRO"),
    PAYMENT_PROTOBUF: WriterSchema(schema_text("payment.proto"), "PROTOBUF"),
}

CASE = WriterSchema(schema_text("review_case.schema.json"), "JSON")


class PaymentCodec(Protocol):
    """A format of a payment, as the service writes it and takes it as a binary body."""

    @property
    def media_types(self) -> frozenset[str]:
        """Content types of the binary form; empty where JSON is the only one."""

    def encode(self, payment: Payment) -> bytes:
        """A record's value: wire-format header and payload."""

    def encode_all(self, payments: Sequence[Payment], texts: Sequence[bytes]) -> list[bytes]:
        """The values of many records, each as `encode` has it; `texts` are the payments as JSON."""

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

    def encode_all(self, payments: Sequence[Payment], texts: Sequence[bytes]) -> list[bytes]:
        """See `PaymentCodec`."""
        return [self.header + text for text in texts]

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
        out = io.BytesIO()
        fastavro.schemaless_writer(out, AVRO_SCHEMA, _fields(payment))
        return self.header + out.getvalue()

    def encode_all(self, payments: Sequence[Payment], texts: Sequence[bytes]) -> list[bytes]:
        """See `PaymentCodec`."""
        return [self.encode(payment) for payment in payments]

    def decode_body(self, body: bytes) -> PostedPayment:
        """See `PaymentCodec`."""
        return to_payment(read_record(_without(self.header, body), AVRO_SCHEMA), PostedPayment)


@dataclass(frozen=True)
class ProtobufCodec:
    """`payment_protobuf`. proto3 does not tell an account number 0 from an absent one: either is 0."""

    header: bytes
    media_types: frozenset[str] = frozenset(
        {"application/protobuf", "application/x-protobuf", "application/vnd.google.protobuf"}
    )

    def encode(self, payment: Payment) -> bytes:
        """See `PaymentCodec`."""
        return self.encode_all((payment,), ())[0]

    def encode_all(self, payments: Sequence[Payment], texts: Sequence[bytes]) -> list[bytes]:
        """See `PaymentCodec`."""
        # Each field is set, so nothing of the last payment stays; a message for each would take twice the time.
        message, values = payment_pb2.Payment(), []
        for payment in payments:
            message.id = payment.id
            message.payee_bank = payment.payee_bank
            message.payee_account_no = payment.payee_account_no
            message.payment_amount = payment.payment_amount
            message.payment_method = payment.payment_method
            message.payor_account_no = payment.payor_account_no
            values.append(self.header + message.SerializeToString())
        return values

    def decode_body(self, body: bytes) -> PostedPayment:
        """See `PaymentCodec`."""
        message = parse_message(payment_pb2.Payment, _without(self.header, body))
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


def _named(message: Message) -> dict[str, Any]:
    """A message's fields by name."""
    return {name: getattr(message, name) for name in FIELDS}


_HEADERS: dict[SchemaType, bytes] = {"JSON": b"", "AVRO": b"", "PROTOBUF": b"\0"}
_CODECS: dict[SchemaType, Callable[[bytes], PaymentCodec]] = {
    "JSON": JsonCodec,
    "AVRO": AvroCodec,
    "PROTOBUF": ProtobufCodec,
}


async def case_header(registry: Registry) -> bytes:
    """Register the schema of cases and return the header of cases; raises SchemaClash, RegistryUnavailable."""
    return wire_format.header(await registry.register(f"{REVIEW_QUEUE}-value", CASE, READERS_GO_ON))


async def payment_codecs(registry: Registry) -> dict[str, PaymentCodec]:
    """A codec for each raw topic, its schema registered; raises SchemaClash, RegistryUnavailable."""
    codecs = {}
    for topic, schema in SCHEMAS.items():
        schema_id = await registry.register(f"{topic}-value", schema)
        kind = schema.schema_type
        codecs[topic] = _CODECS[kind](wire_format.header(schema_id) + _HEADERS[kind])
    return codecs

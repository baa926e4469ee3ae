"""Payments on the raw topics, whoever wrote them, under whatever schema of theirs.

Avro is resolved from the writer's schema to ours; a Protobuf message is read by the writer's own descriptor, field by
name; JSON says by itself what it holds. In all three, fields that we do not know are ignored and a field that is
missing is an error. An Avro schema has to be whole: types that it takes from another subject are not looked up, and its
records are rejected.
"""

import asyncio
from collections.abc import Callable, Iterable

from google.protobuf.message import Message

from schemas import wire_format
from schemas.avro import writer_schema
from schemas.codecs import OURS, named, parse_message, read_avro
from schemas.errors import SchemaError, UndecodableError
from schemas.kafka.topics import PAYMENT_JSON
from schemas.payment import ForeignPayment, Payment, json_reader, to_payment
from schemas.protobuf import message_classes
from schemas.registry import Registry, SchemaType, WriterSchema

_read_json = json_reader(ForeignPayment)


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
    """What reads values that begin with this writer's id; raises UnusableSchema if its schema makes no sense."""
    match writer.schema_type:
        case "JSON":
            return "JSON", lambda value: _read_json(value[wire_format.HEADER_BYTES :])
        case "AVRO":
            schema = writer_schema(writer.schema)
            return "AVRO", lambda value: to_payment(
                read_avro(value[wire_format.HEADER_BYTES :], schema), ForeignPayment
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
    return to_payment(named(parse_message(message_class(path), value[payload_at:])), ForeignPayment)

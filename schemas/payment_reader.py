"""Payments on the raw topics, whoever wrote them, under whatever schema of theirs.

Fields count, by name: what a record or message is called does not matter, fields that we do not know are ignored, and a
field that is missing is an error. The same payment gets the same verdict in all three formats: numbers within int32,
however many bits their type has; amounts of at most two decimals, as decimals exactly; enums as their names.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from schemas import avro, protobuf
from schemas.codecs import SCHEMAS
from schemas.errors import SchemaError, UndecodableError, UnusableSchema
from schemas.kafka.topics import PAYMENT_JSON
from schemas.ordinary_payments import read_together
from schemas.payment import ForeignPayment, Payment, json_reader, to_payment
from schemas.registry import Reference, Registry, SchemaType, WriterSchema
from schemas.wire_format import HEADER_BYTES, SchemaReference, header, is_bare_json, names_schema, split

MAX_TOGETHER = 500
"""Payments that are read together, and one by one where one of them is not ordinary."""
MAX_IMPORTS = 100
"""Schemas that one takes from other subjects."""

Decoder = tuple[SchemaType, Callable[[bytes], Payment]]

_read_json = json_reader(ForeignPayment)


class EncodedRecord(Protocol):
    """A record of Kafka's, as far as a payment is read from it."""

    @property
    def topic(self) -> str:
        """A raw topic."""

    @property
    def value(self) -> bytes | None:
        """The payment."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Headers, one of which may name the schema."""


class PaymentReader:
    """Reads payments from the raw topics, whoever wrote them.

    Two steps, so that the one that waits stands apart: `learn` asks the registry for the schemas of a batch that are
    new, `read` decodes and waits for nothing.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._decoders: dict[SchemaReference, Decoder] = {}
        self._by_frame: dict[tuple[str, bytes], Callable[[bytes], Payment]] = {}
        """Of records whose headers name no schema, as most are: by topic, and the bytes that the value begins with."""
        self._unreadable: dict[SchemaReference, SchemaError] = {}

    async def learn(self, records: Iterable[EncodedRecord]) -> None:
        """Make `read` ready for these records; raises RegistryUnavailable."""
        references = {
            reference
            for record in records
            if self._framed(record) is None and (reference := _reference(record)) is not None
        }
        self._unreadable = {}
        await asyncio.gather(*(self._learn(reference) for reference in references - self._decoders.keys()))

    async def _learn(self, reference: SchemaReference) -> None:
        try:
            writer = await self._registry.writer(reference)
            try:
                decode = await _decoder(writer, self._registry)
            except UnusableSchema as error:
                # For good: an id never changes its schema, and to find out anew with each batch would cost too much.
                decode = _refusing(str(error))
            self._decoders[reference] = writer.schema_type, decode
            if isinstance(reference, int):
                topics = (topic for topic, schema in SCHEMAS.items() if schema.schema_type == writer.schema_type)
                self._by_frame |= {(topic, header(reference)): decode for topic in topics}
        except SchemaError as error:
            self._unreadable[reference] = error

    def read_ordinary(self, records: Sequence[EncodedRecord]) -> Sequence[Payment | None]:
        """Read records together, after `learn` has seen them; None for each that is for `read`.

        Most are ordinary payments in JSON, of which many cost half of what they cost one by one.
        """
        rows = [row for row, record in enumerate(records) if self._framed(record) is _read_json]
        payments: list[Payment | None] = [None] * len(records)
        for start in range(0, len(rows), MAX_TOGETHER):
            together = rows[start : start + MAX_TOGETHER]
            texts = [(records[row].value or b"")[HEADER_BYTES:] for row in together]
            for row, payment in zip(together, read_together(texts) or (), strict=False):
                payments[row] = payment
        return payments

    def read(self, record: EncodedRecord) -> Payment:
        """The payment in a record, after `learn` has seen it.

        Raises:
            UndecodableError: the bytes are no payment in the topic's format.
            PaymentError: a field is missing, or holds what it may not; it is named.
        """
        value = record.value
        if value is None:
            raise UndecodableError("null value")
        if (decode := self._framed(record)) is not None:
            return decode(value[HEADER_BYTES:])
        if record.topic == PAYMENT_JSON and is_bare_json(value):
            return _read_json(value)
        reference, behind_id = split(value, record.headers)
        if reference in self._unreadable:
            raise UndecodableError(str(self._unreadable[reference]))
        kind, decode = self._decoders[reference]
        if kind != SCHEMAS[record.topic].schema_type:
            raise UndecodableError(f"schema {reference} is {kind}, not {SCHEMAS[record.topic].schema_type}")
        return decode(behind_id)

    def _framed(self, record: EncodedRecord) -> Callable[[bytes], Payment] | None:
        """The decoder that a record's first bytes lead to, unless its headers name a schema."""
        decode = self._by_frame.get((record.topic, (record.value or b"")[:HEADER_BYTES]))
        return None if decode is None or names_schema(record.headers) else decode


def _reference(record: EncodedRecord) -> SchemaReference | None:
    try:
        return None if record.value is None else split(record.value, record.headers)[0]
    except UndecodableError:
        return None


async def _decoder(writer: WriterSchema, registry: Registry) -> Callable[[bytes], Payment]:
    """A function that reads values of this writer's; raises UnusableSchema if its schema makes no sense."""
    match writer.schema_type:
        case "JSON":
            return _read_json
        case "AVRO":
            imports = await _imports(writer, registry)
            fields = avro.field_reader(writer.schema, [schema.schema for schema in imports.values()])
        case "PROTOBUF":
            imports = await _imports(writer, registry)
            files = {reference.name: schema.schema for reference, schema in imports.items()}
            fields = await protobuf.field_reader(writer.schema, files)
    return lambda behind_id: to_payment(fields(behind_id), ForeignPayment)


async def _imports(writer: WriterSchema, registry: Registry) -> dict[Reference, WriterSchema]:
    """The schemas that one takes from other subjects, each after those that it needs itself."""
    schemas: dict[Reference, WriterSchema] = {}

    async def visit(references: Iterable[Reference]) -> None:
        for reference in references:
            if reference not in schemas:
                if len(schemas) >= MAX_IMPORTS:
                    raise UnusableSchema(f"the writer's schema needs more than {MAX_IMPORTS} others")
                schemas[reference] = schema = await registry.resolve(reference)
                await visit(schema.references)
                schemas[reference] = schemas.pop(reference)  # behind what it needs

    await visit(writer.references)
    return schemas


def _refusing(reason: str) -> Callable[[bytes], Payment]:
    def refuse(behind_id: bytes) -> Payment:
        raise UndecodableError(reason)

    return refuse

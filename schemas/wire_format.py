"""The Confluent wire format: a zero byte, the schema's id in four bytes, for Protobuf the message indexes, the payload.

Source: Confluent's documentation, "Wire format" (schema registry fundamentals, formats, serializers). Message
indexes are zigzag varints: how many, then the path to the message in its file; the path [0] is one zero byte.

Instead, a record's header `__value_schema_id` may name the schema: by a zero byte and the id, or by a byte 1 and the
schema's GUID. The message indexes stand there, too, and the value is the payload alone (Confluent Platform 8.0,
HeaderSchemaIdSerializer).
"""

from collections.abc import Iterable
from uuid import UUID

from schemas.errors import UndecodableError

MAGIC = 0
HEADER_BYTES = 5
SCHEMA_HEADER = "__value_schema_id"
FOREIGN_SCHEMA_HEADERS = frozenset({"apicurio.value.globalId", "apicurio.value.contentId", "apicurio.value.artifactId"})
"""Headers by which Apicurio's own serializers name a schema, by numbers that the Confluent API does not have."""

BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe")
"""Those of UTF-8 and UTF-16."""

_GUID_MAGIC = 1
_GUID_BYTES = 17
_MAX_DEPTH = 32
_MAX_VARINT_BYTES = 10

SchemaReference = int | UUID
"""A writer's schema by its id, or by its GUID."""

Headers = Iterable[tuple[str, bytes]]


def header(schema_id: int) -> bytes:
    """The five bytes before a payload."""
    return b"\0" + schema_id.to_bytes(4, "big")


def is_framed(value: bytes) -> bool:
    """True for bytes that begin as the wire format does; ids are counted from 1."""
    return len(value) >= HEADER_BYTES and value[0] == MAGIC and any(value[1:HEADER_BYTES])


def without_header(value: bytes) -> bytes:
    """JSON that may stand in the wire format or alone."""
    return value[HEADER_BYTES:] if is_framed(value) else value


def names_schema(headers: Headers) -> bool:
    """True where a record's headers name its schema."""
    for key, _ in headers:  # noqa: SIM110 - any() is a generator's start dearer, for each record
        if key == SCHEMA_HEADER:
            return True
    return False


def is_bare_json(value: bytes) -> bool:
    """True for what is meant as a JSON object alone, as producers without a registry write it."""
    return value.startswith(b"{") or value.startswith(BYTE_ORDER_MARKS) or value.lstrip(b" \t\r\n").startswith(b"{")


def split(value: bytes, headers: Headers = ()) -> tuple[SchemaReference, bytes]:
    """The writer's schema, and what stands behind its id: message indexes, if any, and payload.

    Raises UndecodableError where neither the value nor a header names a schema.
    """
    for key, content in headers:
        if key == SCHEMA_HEADER:
            return _of_header(content, value)
    if not is_framed(value):
        raise UndecodableError(_fault_of(headers))
    return int.from_bytes(value[1:HEADER_BYTES], "big"), value[HEADER_BYTES:]


def _of_header(content: bytes | None, value: bytes) -> tuple[SchemaReference, bytes]:
    if content and is_framed(content):
        return int.from_bytes(content[1:HEADER_BYTES], "big"), content[HEADER_BYTES:] + value
    if content and len(content) >= _GUID_BYTES and content[0] == _GUID_MAGIC:
        return UUID(bytes=content[1:_GUID_BYTES]), content[_GUID_BYTES:] + value
    raise UndecodableError(f"header {SCHEMA_HEADER} is neither an id nor a GUID of a schema")


def _fault_of(headers: Headers) -> str:
    """The reason for which a value that is not in the wire format names no schema."""
    foreign = next((key for key, _ in headers if key in FOREIGN_SCHEMA_HEADERS), None)
    if foreign is not None:
        return f"names its schema in header {foreign}, which is not read here: write the Confluent wire format"
    return "does not begin with the wire format's zero byte and schema id"


def message_indexes(behind_id: bytes) -> tuple[tuple[int, ...], int]:
    """The path of a Protobuf message in its file, and where its payload begins; raises UndecodableError.

    `behind_id` is what stands behind the schema's id, see `split`.
    """
    count, at = _zigzag(behind_id, 0)
    if count == 0:
        return (0,), at
    if not 0 < count <= _MAX_DEPTH:
        raise UndecodableError(f"{count} message indexes")
    path = []
    for _ in range(count):
        index, at = _zigzag(behind_id, at)
        if index < 0:
            raise UndecodableError(f"message index {index}")
        path.append(index)
    return tuple(path), at


def _zigzag(text: bytes, at: int) -> tuple[int, int]:
    """The zigzag varint at `at`, and where it ends."""
    number = 0
    for position, byte in enumerate(text[at : at + _MAX_VARINT_BYTES]):
        number |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at + position + 1
    raise UndecodableError("message indexes are cut short")

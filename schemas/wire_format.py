"""The Confluent wire format: a zero byte, the schema's id in four bytes, for Protobuf the message indexes, the payload.

Source: Confluent's documentation, "Wire format" (schema registry fundamentals, formats, serializers). Message
indexes are zigzag varints: how many, then the path to the message in its file; the path [0] is one zero byte.
"""

from schemas.errors import UndecodableError

MAGIC = 0
HEADER_BYTES = 5
FIRST_MESSAGE = (0,)
_DEEPEST_MESSAGE = 32
_LONGEST_VARINT = 10


def header(schema_id: int) -> bytes:
    """The five bytes before a payload."""
    return b"\0" + schema_id.to_bytes(4, "big")


def is_framed(value: bytes) -> bool:
    """True for bytes that begin as the wire format does; ids are counted from 1."""
    return len(value) >= HEADER_BYTES and value[0] == MAGIC and any(value[1:HEADER_BYTES])


def without_header(value: bytes) -> bytes:
    """JSON that may stand in the wire format or alone."""
    return value[HEADER_BYTES:] if is_framed(value) else value


def schema_id(value: bytes) -> int:
    """The writer's schema id; raises UndecodableError where there is no header."""
    if not is_framed(value):
        raise UndecodableError("does not begin with the wire format's zero byte and schema id")
    return int.from_bytes(value[1:HEADER_BYTES], "big")


def message_indexes(value: bytes) -> tuple[tuple[int, ...], int]:
    """The path of a Protobuf message in its file, and where the payload begins; raises UndecodableError."""
    count, at = _zigzag(value, HEADER_BYTES)
    if count == 0:
        return FIRST_MESSAGE, at
    if not 0 < count <= _DEEPEST_MESSAGE:
        raise UndecodableError(f"{count} message indexes")
    path = []
    for _ in range(count):
        index, at = _zigzag(value, at)
        if index < 0:
            raise UndecodableError(f"message index {index}")
        path.append(index)
    return tuple(path), at


def _zigzag(value: bytes, at: int) -> tuple[int, int]:
    """The zigzag varint at `at`, and where it ends."""
    number = 0
    for place, byte in enumerate(value[at : at + _LONGEST_VARINT]):
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at + place + 1
    raise UndecodableError("message indexes are cut short")

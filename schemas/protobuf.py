"""Protobuf of other writers: message classes from the text that the registry holds, compiled by protoc itself.

What a field holds is what its getter in Java says: an enum its name, a wrapper what it wraps, `confluent.type.Decimal`
and `google.type.Decimal` an exact decimal, and a proto2 field that is not set its default. A field that is not set and
can tell so is missing.
"""

import asyncio
import functools
import re
import tempfile
from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib import resources
from operator import attrgetter
from pathlib import Path
from typing import Any

import google.type  # type: ignore[import-untyped]
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.message import DecodeError, Message
from grpc_tools import protoc

from schemas.avro import MAX_SCALE, columns_by_name
from schemas.errors import PaymentError, UndecodableError, UnusableSchema
from schemas.wire_format import message_indexes

_ROOT = "schema.proto"
_is_decimal = re.compile(
    rf"[+-]?(?=\.?[0-9])[0-9]{{0,{MAX_SCALE}}}(\.[0-9]{{0,{MAX_SCALE}}})?([eE][+-]?[0-9]{{1,3}})?"
).fullmatch
"""As google/type/decimal.proto has it."""
_PYTHON_NAMES = frozenset({"DESCRIPTOR", "HasField", "ParseFromString"})
"""Names that a message in Python has for itself, and not if a field has them."""
Read = Callable[[bytes], dict[str, Any]]


async def field_reader(text: str, imports: Mapping[str, str]) -> Read:
    """A function from what stands behind a schema's id to the payment's fields in it, by our names.

    `imports` are the files that this one takes from other subjects, by the names that it has for them. Raises
    UnusableSchema for what does not compile. The function that it returns raises UndecodableError for what is no
    message of the file's, and PaymentError.
    """
    try:
        file = await asyncio.to_thread(_compile, {**imports, _ROOT: text})
    except (OSError, ValueError, TypeError) as error:
        # Names that are no files' or get into each other's way, text that is none, a message of too many fields.
        raise UnusableSchema(f"the writer's Protobuf schema cannot be compiled ({type(error).__name__})") from None

    @functools.cache
    def message_reader(path: tuple[int, ...]) -> Read:
        return _message_reader(_message_at(file, path))

    def read(behind_id: bytes) -> dict[str, Any]:
        path, payload_at = message_indexes(behind_id)
        return message_reader(path)(behind_id[payload_at:])

    return read


def parse_message(kind: type[Message], payload: bytes) -> Message:
    """A message; raises UndecodableError."""
    message = kind()
    try:
        message.ParseFromString(payload)
    except (DecodeError, RuntimeError):
        raise UndecodableError("not a Protobuf message of its type, or cut short") from None
    return message


def _message_reader(message: Descriptor) -> Read:
    if hidden := sorted(_PYTHON_NAMES.intersection(message.fields_by_name)):
        raise UndecodableError(f"the writer's message has a field {hidden[0]}, so it cannot be read")
    kind = message_factory.GetMessageClass(message)
    fields = {name: message.fields_by_name[column] for name, column in columns_by_name(message.fields_by_name).items()}
    getters = {name: (field, _is_always_set(field), _conversion(name, field)) for name, field in fields.items()}

    def read(payload: bytes) -> dict[str, Any]:
        parsed = parse_message(kind, payload)
        return {
            name: convert(getattr(parsed, field.name)) if convert else getattr(parsed, field.name)
            for name, (field, is_always_set, convert) in getters.items()
            if is_always_set or parsed.HasField(field.name)
        }

    return read


def _is_always_set(field: FieldDescriptor) -> bool:
    """True for a field that cannot tell that it is not set, or has a default for then."""
    return not field.has_presence or field.has_default_value


def _conversion(name: str, field: FieldDescriptor) -> Callable[[Any], Any] | None:
    """The function from a field's value in Python to the payment's, None where they are the same."""
    if field.is_repeated:
        return _refusing(name, "is repeated")
    if field.enum_type is not None:
        symbols = field.enum_type.values_by_number

        def symbol(number: int) -> str:
            if number not in symbols:
                raise PaymentError(f"{number} is no value of its enum", name)
            return symbols[number].name

        return symbol
    if field.message_type is not None:
        return _MESSAGES.get(field.message_type.full_name) or _refusing(
            name, "is a message, which no payment's field is"
        )
    return None


def _refusing(name: str, reason: str) -> Callable[[Any], Any]:
    def refuse(value: Any) -> Any:
        raise PaymentError(reason, name)

    return refuse


def _confluent_decimal(message: Any) -> Decimal:
    """A Confluent decimal, exactly: an integer in two's complement, shifted by its scale."""
    if len(message.value) > MAX_SCALE or not 0 <= message.scale <= MAX_SCALE:
        raise UndecodableError("a decimal of more digits than any amount has")
    return Decimal(f"{int.from_bytes(message.value, 'big', signed=True)}e-{message.scale}")


def _google_decimal(message: Any) -> Decimal:
    """A decimal that is written as text, exactly."""
    if not _is_decimal(message.value):
        raise UndecodableError("a decimal that is none, or has more digits than any amount")
    return Decimal(message.value)


_MESSAGES: dict[str, Callable[[Any], Any]] = {
    "confluent.type.Decimal": _confluent_decimal,
    "google.type.Decimal": _google_decimal,
    **{
        f"google.protobuf.{kind}Value": attrgetter("value")
        for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "String")
    },
}
"""Readers of messages of types that are widely known, by the type's name."""


def _compile(files: dict[str, str]) -> FileDescriptor:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            file = Path(folder, name).resolve()
            if not file.is_relative_to(Path(folder).resolve()):
                raise UnusableSchema("the writer's Protobuf schema imports a file outside its own folder")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        compiled = Path(folder, "compiled.pb")
        includes = [f"-I{include}" for include in (folder, *_known_imports())]
        arguments = ["protoc", *includes, "--include_imports", f"--descriptor_set_out={compiled}", _ROOT]
        if protoc.main(arguments) != 0:
            raise UnusableSchema("the writer's Protobuf schema does not compile")
        file_set = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for proto in file_set.file:
        pool.Add(proto)
    return pool.FindFileByName(_ROOT)


def _known_imports() -> list[str]:
    """Folders of what registries know without a reference: google/protobuf, google/type, confluent."""
    [google_type] = google.type.__path__
    return [
        str(resources.files("grpc_tools").joinpath("_proto")),
        f"google/type={google_type}",
        str(resources.files("schemas").joinpath("imports")),
    ]


def _message_at(file: FileDescriptor, path: tuple[int, ...]) -> Descriptor:
    try:
        message = list(file.message_types_by_name.values())[path[0]]
        for index in path[1:]:
            message = message.nested_types[index]
    except IndexError:
        raise UndecodableError(f"the writer's schema has no message at {list(path)}") from None
    return message

"""Message classes from the Protobuf text that the registry holds, compiled by protoc itself."""

import asyncio
import functools
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.message import Message
from grpc_tools import protoc

from schemas.errors import UndecodableError, UnusableSchema
from schemas.registry import Registry, WriterSchema

_ROOT = "schema.proto"
_MOST_IMPORTS = 100
_NEEDED = frozenset({"DESCRIPTOR", "HasField", "ParseFromString"})
"""What is asked of a message, and not there if a field has its name."""


async def message_classes(writer: WriterSchema, registry: Registry) -> Callable[[tuple[int, ...]], type[Message]]:
    """What finds a message class by its path of indexes in the writer's file (see `wire_format.message_indexes`).

    Raises:
        UnusableSchema: the text, or what it imports, does not compile.
        RegistryUnavailable: an imported schema could not be asked for.

    The function that it returns raises UndecodableError for a path that the file does not have.
    """
    files = await _with_imports(writer, registry)
    try:
        descriptor = await asyncio.to_thread(_compile, files)
    except (OSError, ValueError, TypeError) as error:
        # Names that are no files' or get into each other's way, text that is none, a message of too many fields.
        raise UnusableSchema(f"the writer's Protobuf schema cannot be used: {error}") from None

    @functools.cache
    def message_class(path: tuple[int, ...]) -> type[Message]:
        message = _message_at(descriptor, path)
        if hidden := sorted(_NEEDED.intersection(message.fields_by_name)):
            raise UndecodableError(f"the writer's {message.name} has a field {hidden[0]}, so it cannot be read")
        return message_factory.GetMessageClass(message)

    return message_class


async def _with_imports(writer: WriterSchema, registry: Registry) -> dict[str, str]:
    """The writer's file and everything that it imports, by name."""
    files = {_ROOT: writer.schema}
    wanted = list(writer.references)
    while wanted and len(files) < _MOST_IMPORTS:
        reference = wanted.pop()
        if reference.name not in files:
            imported = await registry.referenced(reference)
            files[reference.name] = imported.schema
            wanted.extend(imported.references)
    return files


def _compile(files: dict[str, str]) -> FileDescriptor:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            file = Path(folder, name).resolve()
            if not file.is_relative_to(Path(folder).resolve()):
                raise UnusableSchema(f"a schema imports {name!r}, outside its own folder")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        compiled = Path(folder, "compiled.pb")
        well_known = resources.files("grpc_tools").joinpath("_proto")
        arguments = [
            "protoc",
            f"-I{folder}",
            f"-I{well_known}",
            "--include_imports",
            f"--descriptor_set_out={compiled}",
        ]
        if protoc.main([*arguments, _ROOT]) != 0:
            raise UnusableSchema("the writer's Protobuf schema does not compile")
        file_set = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for proto in file_set.file:
        pool.Add(proto)
    return pool.FindFileByName(_ROOT)


def _message_at(file: FileDescriptor, path: tuple[int, ...]) -> Descriptor:
    try:
        message = list(file.message_types_by_name.values())[path[0]]
        for index in path[1:]:
            message = message.nested_types[index]
    except IndexError:
        raise UndecodableError(f"the writer's schema has no message at {list(path)}") from None
    return message

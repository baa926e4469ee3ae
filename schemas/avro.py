"""Avro of other writers: their schemas, and a payment's fields in what they wrote, whatever the record is called.

fastavro follows a schema wherever it leads: into itself until the process dies, or through 2⁶² items that take no
bytes at all. So a schema may not contain itself, and what it makes the reader do is bounded by the bytes that there
are. Of logical types only those are read that change what a payment's field is: decimals, and UUIDs in 16 bytes. The
others say how a value is to be shown.
"""

import io
import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import fastavro

from schemas.errors import UndecodableError, UnusableSchema
from schemas.payment import FIELDS

MAX_CHARACTERS = 256 * 1024
"""Limit of a schema with all that it takes from other subjects."""
MAX_TYPES = 2_000
"""In a whole schema, each named type counted wherever it is used."""
MAX_TYPES_PER_BYTE = 20
"""In an item of an array or a map, for each byte that it takes at least."""
MAX_SCALE = 1_000

_RECORDS = ("record", "error")
_MIN_BYTES = {"null": 0, "float": 4, "double": 8}


class _Property:
    LOGICAL_TYPE = "logical-type"
    """The name under which fastavro sees `logicalType`: it would convert values, and decimals not exactly."""


Named = dict[str, dict[str, Any]]
Read = Callable[[bytes], dict[str, Any]]


class _Cost(NamedTuple):
    """Types that are met in reading a value, and bytes that it takes at least."""

    types: int
    min_bytes: int


def field_reader(text: str, imports: Iterable[str] = ()) -> Read:
    """A function from a record's payload to the payment's fields in it, by our names; it raises UndecodableError.

    `imports` are the schemas that this one takes from other subjects, each after those that it needs itself. Raises
    UnusableSchema for a schema that makes no sense, asks too much of a reader, or is no record.
    """
    try:
        schema, named = _parsed([*imports, text])
        types = _field_types(schema, named)
        columns = {name: (column, _conversion(types[column], named)) for name, column in columns_by_name(types).items()}
    except UnusableSchema:
        raise
    except Exception as error:  # noqa: BLE001 - fastavro raises, or lets pass, whatever it did not expect
        raise UnusableSchema(f"the writer's Avro schema makes no sense to a reader ({type(error).__name__})") from None

    def read(payload: bytes) -> dict[str, Any]:
        values = read_record(payload, schema)
        return {
            name: convert(values[column]) if convert else values[column]
            for name, (column, convert) in columns.items()
            if values[column] is not None
        }

    return read


def _parsed(texts: list[str]) -> tuple[Any, Named]:
    """The last schema as fastavro reads by it, and the named types of all; raises whatever fastavro does."""
    characters = sum(map(len, texts))
    if characters > MAX_CHARACTERS:
        raise UnusableSchema(f"the writer's Avro schema has {characters} characters, more than {MAX_CHARACTERS}")
    schema, named = None, Named()
    costs: dict[str, _Cost | None] = {}
    for text in texts:
        raw = json.loads(text, object_hook=_with_inert_logical_type)
        schema = fastavro.parse_schema(raw, named_schemas=named)
        _check_cost(_cost(schema, costs))
    return schema, named


def read_record(payload: bytes, schema: Any) -> dict[str, Any]:
    """The fields of a record under this schema; raises UndecodableError."""
    stream = io.BytesIO(payload)
    try:
        record = fastavro.schemaless_reader(stream, schema, None)
    except (EOFError, IndexError, OverflowError):
        raise UndecodableError("Avro body is cut short") from None
    except Exception as error:  # noqa: BLE001 - fastavro raises whatever its primitives do
        raise UndecodableError(f"not Avro in the writer's schema ({type(error).__name__})") from None
    if stream.read(1):
        raise UndecodableError("bytes are left over after the Avro body")
    if not isinstance(record, dict):
        raise UndecodableError("not an Avro record")
    return record


def _field_types(schema: Any, named: Named) -> dict[str, Any]:
    """The types of a record's fields; the record may be null, which no payment is."""
    records = [branch for branch in _branches(schema, named) if branch != "null"]
    if len(records) == 1 and isinstance(records[0], dict) and records[0].get("type") in _RECORDS:
        return {field["name"]: field["type"] for field in records[0]["fields"]}
    raise UnusableSchema("the writer's Avro schema is no record")


def _branches(kind: Any, named: Named) -> list[Any]:
    """The types that a value may have, with what stands behind their names."""
    branches = kind if isinstance(kind, list) else [kind]
    return [named.get(branch, branch) if isinstance(branch, str) else branch for branch in branches]


def columns_by_name(names: Iterable[str]) -> dict[str, str]:
    """The names of a writer's that are ours, by ours: the same to the letter, or else but for capitals.

    SQL does not tell capitals apart, and ksqlDB writes its columns in them.
    """
    exact = set(names)
    folded: dict[str, list[str]] = {}
    for name in exact:
        folded.setdefault(name.lower(), []).append(name)
    candidates = {name: [name] if name in exact else folded.get(name, []) for name in FIELDS}
    return {name: columns[0] for name, columns in candidates.items() if len(columns) == 1}


def _conversion(kind: Any, named: Named) -> Callable[[Any], Any] | None:
    """The function from the value that fastavro reads to the field's, None where they are the same."""
    for branch in _branches(kind, named):
        match branch:
            case {_Property.LOGICAL_TYPE: "decimal", "type": "bytes" | "fixed"}:
                scale = branch.get("scale", 0)
                if not (isinstance(scale, int) and 0 <= scale <= MAX_SCALE):
                    raise UnusableSchema("the writer's Avro schema has a decimal of a scale that makes no sense")
                return lambda value: _decimal(value, scale) if isinstance(value, bytes) else value
            case {_Property.LOGICAL_TYPE: "uuid", "type": "fixed", "size": 16}:
                return lambda value: str(UUID(bytes=value)) if isinstance(value, bytes) else value
    return None


def _decimal(value: bytes, scale: int) -> Decimal:
    """A decimal, exactly: an integer in two's complement, shifted by its scale."""
    if len(value) > MAX_SCALE:
        raise UndecodableError("a decimal of more digits than any amount has")
    return Decimal(f"{int.from_bytes(value, 'big', signed=True)}e-{scale}")


def _with_inert_logical_type(schema: dict[str, Any]) -> dict[str, Any]:
    if "logicalType" in schema:
        schema[_Property.LOGICAL_TYPE] = schema.pop("logicalType")
    return schema


def _cost(schema: Any, costs: dict[str, _Cost | None]) -> _Cost:
    """The cost of a type; `costs` are the named types met so far, None for those within which we are.

    Raises UnusableSchema.
    """
    match schema:
        case str():
            cost = costs.get(schema, _Cost(1, _MIN_BYTES.get(schema, 1)))
        case list():
            branches = [_cost(branch, costs) for branch in schema]
            cost = _Cost(1 + sum(branch.types for branch in branches), 1 + min(branch.min_bytes for branch in branches))
        case {"type": "array", "items": items}:
            cost = _Cost(1 + _item(_cost(items, costs)), 1)
        case {"type": "map", "values": values}:
            value = _cost(values, costs)
            cost = _Cost(1 + _item(_Cost(value.types, value.min_bytes + 1)), 1)
        case {"type": "record" | "error", "name": name, "fields": fields}:
            costs[name] = None
            field_costs = [_cost(field["type"], costs) for field in fields]
            cost = costs[name] = _Cost(
                1 + sum(field.types for field in field_costs), sum(field.min_bytes for field in field_costs)
            )
        case {"type": "fixed", "name": name, "size": int(size)}:
            cost = costs[name] = _Cost(1, max(size, 0))
        case {"type": "enum", "name": name}:
            cost = costs[name] = _Cost(1, 1)
        case {"type": kind}:
            cost = _cost(kind, costs)
        case _:
            raise UnusableSchema("the writer's Avro schema has a type that is none")
    if cost is None:
        raise UnusableSchema("the writer's Avro schema contains itself")
    return cost


def _check_cost(cost: _Cost) -> None:
    if cost.types > MAX_TYPES:
        raise UnusableSchema(f"the writer's Avro schema has {cost.types} types, more than {MAX_TYPES}")


def _item(cost: _Cost) -> int:
    """The types of an item, of which there may be any number; raises UnusableSchema for too few bytes."""
    if cost.types > MAX_TYPES_PER_BYTE * cost.min_bytes:
        raise UnusableSchema("the writer's Avro schema has a list of what takes hardly any bytes")
    return cost.types

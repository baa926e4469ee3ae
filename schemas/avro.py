"""Avro schemas of other writers: what is taken, so that no bytes written under one can stop the reader.

fastavro follows a schema wherever it leads: into itself until the process dies, or through 2⁶² items that take no
bytes at all. So a schema may not contain itself, and what it makes the reader do is bounded by the bytes that there
are. Logical types are left out: they say how a value is to be shown, and a payment's fields are what they are.
"""

import json
from typing import Any, NamedTuple

import fastavro

from schemas.errors import UnusableSchema

MOST_CHARACTERS = 256 * 1024
MOST_TYPES = 2_000
"""In a whole schema, each named type counted wherever it is used."""
MOST_TYPES_A_BYTE = 20
"""In an item of an array or a map, for each byte that it takes at least."""

_LEAST_BYTES = {"null": 0, "float": 4, "double": 8}


class _Cost(NamedTuple):
    """How many types are met in reading a value, and how many bytes it takes at least."""

    types: int
    least_bytes: int


def writer_schema(text: str) -> Any:
    """What fastavro reads a writer's values by; raises UnusableSchema for what makes no sense, or asks too much."""
    if len(text) > MOST_CHARACTERS:
        raise UnusableSchema(f"the writer's Avro schema has {len(text)} characters, more than {MOST_CHARACTERS}")
    try:
        schema = fastavro.parse_schema(json.loads(text, object_hook=_without_logical_type))
        types = _cost(schema, {}).types
    except UnusableSchema:
        raise
    except Exception as error:  # noqa: BLE001 - fastavro raises whatever Python does with what it did not expect
        raise UnusableSchema(f"the writer's Avro schema cannot be used: {type(error).__name__}: {error}") from None
    if types > MOST_TYPES:
        raise UnusableSchema(f"the writer's Avro schema has {types} types, more than {MOST_TYPES}")
    return schema


def _without_logical_type(schema: dict[str, Any]) -> dict[str, Any]:
    schema.pop("logicalType", None)
    return schema


def _cost(schema: Any, known: dict[str, _Cost | None]) -> _Cost:
    """`known` are the named types met so far, None for one within which we are; raises UnusableSchema."""
    match schema:
        case str():
            cost = known.get(schema, _Cost(1, _LEAST_BYTES.get(schema, 1)))
        case list():
            branches = [_cost(branch, known) for branch in schema]
            cost = _Cost(1 + sum(each.types for each in branches), 1 + min(each.least_bytes for each in branches))
        case {"type": "array", "items": items}:
            cost = _Cost(1 + _item(_cost(items, known)), 1)
        case {"type": "map", "values": values}:
            value = _cost(values, known)
            cost = _Cost(1 + _item(_Cost(value.types, value.least_bytes + 1)), 1)
        case {"type": "record", "name": name, "fields": fields}:
            known[name] = None
            costs = [_cost(field["type"], known) for field in fields]
            cost = known[name] = _Cost(1 + sum(each.types for each in costs), sum(each.least_bytes for each in costs))
        case {"type": "fixed", "name": name, "size": int(size)}:
            cost = known[name] = _Cost(1, max(size, 0))
        case {"type": "enum", "name": name}:
            cost = known[name] = _Cost(1, 1)
        case {"type": kind}:
            cost = _cost(kind, known)
        case _:
            raise UnusableSchema(f"the writer's Avro schema cannot be used: {schema!r}")
    if cost is None:
        raise UnusableSchema(f"the writer's Avro schema cannot be used: {schema} contains itself")
    return cost


def _item(cost: _Cost) -> int:
    """The types of an item, of which there may be any number; raises UnusableSchema for too few bytes."""
    if cost.types > MOST_TYPES_A_BYTE * cost.least_bytes:
        raise UnusableSchema("the writer's Avro schema cannot be used: it has a list of what takes hardly any bytes")
    return cost.types

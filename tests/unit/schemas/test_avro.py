"""Avro of other writers: what their schemas may make a reader do, and which of their fields are a payment's."""

import json
from typing import Any

import pytest

from schemas.avro import MAX_CHARACTERS, MAX_SCALE, MAX_TYPES, columns_by_name, field_reader
from schemas.errors import UndecodableError, UnusableSchema
from tests.unit.schemas.test_payment_reader import FIELDS, avro_payload, avro_schema

LIST: dict[str, Any] = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
NOTHING: dict[str, Any] = {"type": "record", "name": "Nothing", "fields": []}


def wide(fields: int) -> dict[str, Any]:
    return {
        "type": "record",
        "name": "Wide",
        "fields": [{"name": f"f{place}", "type": "int"} for place in range(fields)],
    }


@pytest.mark.parametrize(
    ("spare", "reason"),
    [
        (LIST, "contains itself"),
        ({"type": "array", "items": "null"}, "hardly any bytes"),
        ({"type": "array", "items": NOTHING}, "hardly any bytes"),
        (wide(MAX_TYPES), "more than 2000"),
        ({"type": "decimal"}, "makes no sense"),
        (7, "makes no sense|is none"),
    ],
    ids=["itself", "nulls", "nothings", "types", "unheard", "number"],
)
def test_a_schema_that_asks_too_much_or_makes_no_sense_is_refused(spare: Any, reason: str) -> None:
    with pytest.raises(UnusableSchema, match=reason):
        field_reader(json.dumps(avro_schema(spare=spare)))


@pytest.mark.parametrize("name", [1, None, ["null", "int"], {}])
def test_a_schema_whose_field_s_name_is_no_text_is_refused(name: object) -> None:
    schema = avro_schema()
    schema["fields"][0]["name"] = name
    with pytest.raises(UnusableSchema, match="makes no sense"):
        field_reader(json.dumps(schema))


def test_a_schema_of_too_many_characters_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(UnusableSchema, match="characters"):
        field_reader("x" * (MAX_CHARACTERS + 1))


@pytest.mark.parametrize("scale", [-1, MAX_SCALE + 1, "2", None])
def test_a_decimal_of_a_scale_that_makes_no_sense_is_refused(scale: object) -> None:
    amount = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": scale}
    with pytest.raises(UnusableSchema, match="scale"):
        field_reader(json.dumps(avro_schema(payment_amount=amount)))


def test_a_body_is_read_to_its_end_and_no_further() -> None:
    read, body = field_reader(json.dumps(avro_schema())), avro_payload(avro_schema())
    assert read(body) == FIELDS
    with pytest.raises(UndecodableError, match="left over"):
        read(body + b"\0")
    with pytest.raises(UndecodableError, match="cut short"):
        read(body[:-1])


def test_a_column_is_the_one_of_that_name_or_the_only_one_but_for_capitals() -> None:
    assert columns_by_name(["id", "ID", "PAYEE_BANK", "Payor_Account_No", "PAYOR_ACCOUNT_NO"]) == {
        "id": "id",
        "payee_bank": "PAYEE_BANK",
    }

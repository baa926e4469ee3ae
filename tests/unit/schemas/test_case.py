"""A case is written and read in one way, under an id that only rule, group and window decide."""

import json
from typing import Any

import jsonschema
import pytest

from schemas import wire_format
from schemas.case import Case, CaseError, Group, ListedPayment, case_id, decode_case, encode_case, uuid_text
from schemas.codecs import schema_text

MIDNIGHT = 1_795_392_000_000 // 86_400_000 * 86_400_000
SCHEMA = json.loads(schema_text("review_case.schema.json"))
OLD: dict[str, Any] = {
    "case_id": "b0dc546e-7b33-508e-a526-a63aa3a6b382",
    "rule": "structuring",
    "group": {"payor_account_no": 100, "payee_bank": "First National", "payee_account_no": 200},
    "window_start": MIDNIGHT,
    "window_end": MIDNIGHT + 86_400_000,
    "payment_count": 2,
    "total_amount": "10000.01",
    "max_amount": 9999.99,
    "first_payment_at": MIDNIGHT + 1000,
    "last_payment_at": MIDNIGHT + 2000,
    "payments": [
        {"id": "a", "payment_amount": 0.02, "payment_method": "ACH", "timestamp": MIDNIGHT, "topic": "payment_json"}
    ],
}
"""A case as it was written before payments named their sides."""
SIDES = {"payor_account_no": 100, "payee_bank": "First National", "payee_account_no": 200}
PLACE = {"partition": 3, "offset": 12}
NEW = OLD | {"payments": [OLD["payments"][0] | SIDES | PLACE], "fired_at": MIDNIGHT + 2000}


@pytest.mark.parametrize("fields", [OLD, NEW])
def test_what_was_read_is_written_as_it_was(fields: dict[str, Any]) -> None:
    assert json.loads(encode_case(decode_case(json.dumps(fields).encode()))) == fields
    jsonschema.validate(fields, SCHEMA)


def test_the_wire_formats_header_may_stand_before_it() -> None:
    value = encode_case(decode_case(json.dumps(NEW).encode()))
    assert decode_case(wire_format.header(7) + value) == decode_case(value)


def test_the_fields_are_those_of_the_schema_in_its_order() -> None:
    listed = SCHEMA["properties"]["payments"]["items"]["properties"]
    assert Case.__struct_fields__ == tuple(SCHEMA["properties"]) == (*SCHEMA["required"], "fired_at")
    assert ListedPayment.__struct_fields__ == tuple(listed)
    assert Group.__struct_fields__ == tuple(SCHEMA["properties"]["group"]["properties"])


@pytest.mark.parametrize(
    "changes",
    [
        {"total_amount": "12"},
        {"total_amount": "NaN"},
        {"payment_count": -1},
        {"window_start": "today"},
        {"group": {"payor_account_no": -1}},
        {"payments": [{}]},
        {"case_id": None},
    ],
)
def test_what_is_no_case_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CaseError, match="not a case"):
        decode_case(json.dumps(OLD | changes).encode())


@pytest.mark.parametrize("value", [None, b"", b"{", b"\0\0\0\0\1garbage", b'"\xff"', b"[" * 100_000])
def test_any_other_bytes_are_refused(value: bytes | None) -> None:
    with pytest.raises(CaseError):
        decode_case(value)


def test_a_uuids_bytes_read_as_its_canonical_text() -> None:
    assert uuid_text(bytes(range(16))) == "00010203-0405-0607-0809-0a0b0c0d0e0f"


def test_the_id_is_the_same_on_every_machine() -> None:
    group = (100, "First National", 200)
    assert case_id("structuring", 1_795_392_000_000, group) == "b0dc546e-7b33-508e-a526-a63aa3a6b382"


@pytest.mark.parametrize(
    ("rule", "start", "group"),
    [
        ("structuring_rolling", MIDNIGHT, (1, "A", 2)),
        ("structuring", MIDNIGHT + 86_400_000, (1, "A", 2)),
        ("structuring", MIDNIGHT, (1, "A", 3)),
        ("structuring", MIDNIGHT, (2, "A", 2)),
        ("structuring", MIDNIGHT, (1, "B", 2)),
        ("structuring", MIDNIGHT, (1, "A|2", 2)),
        ("structuring", MIDNIGHT, (1, "1|A", 2)),
    ],
)
def test_another_rule_group_or_window_is_another_case(rule: str, start: int, group: tuple[int | str, ...]) -> None:
    assert case_id(rule, start, group) != case_id("structuring", MIDNIGHT, (1, "A", 2))

"""Protobuf of other writers: which file is compiled, and which of its messages is read."""

import asyncio
from collections.abc import Mapping

import pytest

from schemas.errors import UndecodableError, UnusableSchema
from schemas.protobuf import Read, field_reader
from tests.unit.schemas.test_payment_reader import ACCOUNTS, AMOUNT, FIELDS, PROTO, TEXTS

BODY = TEXTS + ACCOUNTS + AMOUNT
IMPORTING = PROTO.replace("message", 'import "bank/method.proto";\nmessage')


def reader(schema: str, imports: Mapping[str, str] | None = None) -> Read:
    return asyncio.run(field_reader(schema, imports or {}))


@pytest.mark.parametrize(
    ("indexes", "before", "after"),
    [
        (b"\0", "", ""),
        (b"\x02\x00", "", ""),
        (b"\x02\x02", "message First {}\n", ""),
        (b"\x04\x00\x00", "message Outer { ", "}"),
        (b"\x06\x02\x00\x02", "message First {}\nmessage Outer { message Middle { message Zeroth {} ", "} }"),
    ],
)
def test_the_message_at_the_path_of_the_indexes_is_read(indexes: bytes, before: str, after: str) -> None:
    schema = PROTO.replace("message Wire", before + "message Wire") + after
    assert reader(schema)(indexes + BODY) == FIELDS


@pytest.mark.parametrize("indexes", [b"\x02\x02", b"\x04\x00\x00", b"\x02\x01", b"\x80"])
def test_a_message_that_the_file_has_not_is_named(indexes: bytes) -> None:
    with pytest.raises(UndecodableError, match="message"):
        reader(PROTO)(indexes + BODY)


def test_what_a_file_takes_from_another_subject_is_compiled_with_it() -> None:
    method = 'syntax = "proto3";\npackage bank;\nenum Method { WIRE = 0; ACH = 1; }\n'
    schema = IMPORTING.replace("string payment_method", "bank.Method payment_method")
    body = BODY.replace(b"\x2a\x03ACH", b"") + b"\x28\x01"
    assert reader(schema, {"bank/method.proto": method})(b"\0" + body) == FIELDS


@pytest.mark.parametrize("name", ["../method.proto", "/tmp/method.proto", "bank/../../method.proto"])
def test_an_import_outside_the_files_own_folder_is_refused(name: str) -> None:
    with pytest.raises(UnusableSchema, match="outside"):
        reader(PROTO, {name: PROTO})


@pytest.mark.parametrize("schema", ["", "nonsense", IMPORTING, "\0", PROTO.replace("= 2", "= 1"), "\ud800"])
def test_what_does_not_compile_is_refused(schema: str) -> None:
    with pytest.raises((UnusableSchema, UndecodableError)):
        reader(schema)(b"\0" + BODY)

"""A record names its writer's schema in its first bytes, or in a header."""

from uuid import UUID

import pytest

from schemas import wire_format
from schemas.errors import UndecodableError

GUID = UUID("89791762-2336-186f-9674-299b90f4ed2b")


@pytest.mark.parametrize(
    ("encoded", "path"), [(b"\0", (0,)), (b"\2\0", (0,)), (b"\2\2", (1,)), (b"\4\2\6", (1, 3)), (b"\2\x80\2", (128,))]
)
def test_message_indexes_are_zigzag_varints(encoded: bytes, path: tuple[int, ...]) -> None:
    assert wire_format.message_indexes(encoded + b"payload") == (path, len(encoded))


@pytest.mark.parametrize("encoded", [b"", b"\x80", b"\2", b"\xff" * 20, b"\1", b"\2\1"])
def test_message_indexes_cut_short_or_senseless_are_an_error(encoded: bytes) -> None:
    with pytest.raises(UndecodableError):
        wire_format.message_indexes(encoded)


def test_there_is_no_schema_id_zero_to_be_asked_for() -> None:
    with pytest.raises(UndecodableError, match="schema id"):
        wire_format.split(bytes(20))


@pytest.mark.parametrize(
    ("content", "reference", "indexes"),
    [
        (b"\0\0\0\0\7", 7, b""),
        (b"\0\0\0\0\7\2\2", 7, b"\2\2"),
        (b"\1" + GUID.bytes, GUID, b""),
        (b"\1" + GUID.bytes + b"\0", GUID, b"\0"),
    ],
)
def test_a_header_names_the_schema_and_the_value_is_the_payload_alone(
    content: bytes, reference: int | UUID, indexes: bytes
) -> None:
    headers = [("request_id", b"1"), ("__value_schema_id", content)]
    assert wire_format.split(b"payload", headers) == (reference, indexes + b"payload")


@pytest.mark.parametrize("content", [None, b"", b"\0", b"\0\0\0\0\0", b"\1" + bytes(15), b"\2" + bytes(16)])
def test_a_header_that_names_no_schema_is_said(content: bytes) -> None:
    with pytest.raises(UndecodableError, match="__value_schema_id"):
        wire_format.split(b"payload", [("__value_schema_id", content)])


def test_a_header_that_is_not_read_is_named() -> None:
    with pytest.raises(UndecodableError, match=r"apicurio\.value\.globalId"):
        wire_format.split(b"payload", [("apicurio.value.globalId", bytes(8))])

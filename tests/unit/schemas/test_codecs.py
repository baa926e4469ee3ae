"""Codecs: what the service writes is the wire format; what it takes as a binary body is a payment or an error."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import payment_pb2, wire_format
from schemas.codecs import AvroCodec, JsonCodec, PaymentCodec, ProtobufCodec
from schemas.errors import PaymentError
from schemas.payment import NormalisedPayment, Payment

PAYMENT = Payment("6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b", "First National", 200, 4000.01, "ACH", 100)
AVRO = AvroCodec(wire_format.header(7))
PROTOBUF = ProtobufCodec(wire_format.header(8) + b"\0")
JSON = JsonCodec(wire_format.header(9))
CODECS = pytest.mark.parametrize("codec", [AVRO, PROTOBUF, JSON], ids=["avro", "protobuf", "json"])


@CODECS
def test_a_value_begins_with_a_zero_byte_and_the_schema_id(codec: PaymentCodec) -> None:
    value = codec.encode(PAYMENT)
    assert wire_format.is_framed(value)
    assert wire_format.split(value)[0] in {7, 8, 9}


@CODECS
def test_a_body_is_read_in_the_wire_format_and_without(codec: PaymentCodec) -> None:
    framed = codec.encode(PAYMENT)
    bare = framed.removeprefix(codec.header)  # type: ignore[attr-defined]
    for body in (bare, framed):
        assert codec.decode_body(body).id == PAYMENT.id
        assert codec.decode_body(body).payment_amount == PAYMENT.payment_amount


@pytest.mark.parametrize("codec", [AVRO, JSON], ids=["avro", "json"])
def test_a_body_cut_short_anywhere_is_an_error(codec: PaymentCodec) -> None:
    body = codec.encode(PAYMENT)
    for end in range(len(body)):
        with pytest.raises(PaymentError):
            codec.decode_body(body[:end])


def test_a_protobuf_body_cut_short_is_an_error_unless_only_zero_fields_are_gone() -> None:
    body = PROTOBUF.encode(PAYMENT)
    payor_at = body.rindex(b"\x30")  # the tag of the last field; without it the payor is 0, as proto3 has it
    for end in set(range(len(body))) - {payor_at}:
        with pytest.raises(PaymentError):
            PROTOBUF.decode_body(body[:end])
    assert PROTOBUF.decode_body(body[:payor_at]).payor_account_no == 0


@CODECS
def test_bytes_left_over_are_an_error(codec: PaymentCodec) -> None:
    with pytest.raises(PaymentError):
        codec.decode_body(codec.encode(PAYMENT) + b"\x01")


def test_an_unknown_protobuf_field_is_an_error_at_the_edge() -> None:
    body = PROTOBUF.encode(PAYMENT) + bytes([7 << 3, 1])
    with pytest.raises(PaymentError, match="#7"):
        PROTOBUF.decode_body(body)


def test_the_edge_names_the_field_of_a_binary_body() -> None:
    body = payment_pb2.Payment(id=PAYMENT.id, payee_bank="B", payment_amount=-1, payment_method="ACH")
    with pytest.raises(PaymentError) as caught:
        PROTOBUF.decode_body(body.SerializeToString())
    assert caught.value.field == "payment_amount"


@CODECS
@given(st.binary())
def test_any_bytes_are_a_payment_or_a_payment_error(codec: PaymentCodec, body: bytes) -> None:
    with suppress(PaymentError):
        codec.decode_body(body)


def test_the_committed_protobuf_module_is_what_protoc_generates(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*command, "schemas/payment.proto"], check=True, timeout=60)
    for name in ("payment_pb2.py", "payment_pb2.pyi"):
        assert (tmp_path / "schemas" / name).read_text() == Path("schemas", name).read_text()


@pytest.mark.parametrize("codec", [AVRO, PROTOBUF], ids=["avro", "protobuf"])
def test_a_payment_with_more_fields_than_six_is_written_with_six(codec: PaymentCodec) -> None:
    normalised = NormalisedPayment(*msgspec.structs.astuple(PAYMENT), "payment_json")
    assert codec.encode(normalised) == codec.encode(PAYMENT)

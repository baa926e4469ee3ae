"""A payment holds what the table of limits says, and a violation names its field."""

import json
from contextlib import suppress
from decimal import ROUND_HALF_UP, Decimal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.codecs import decode_posted, schema_text
from schemas.errors import PaymentError, UndecodableError
from schemas.payment import (
    AMOUNT_MAX,
    FIELDS,
    INT32_MAX,
    ForeignPayment,
    Payment,
    cents_of,
    dollars,
    exact_cents,
    json_reader,
    to_payment,
)

GOOD = {
    "id": "6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b",
    "payee_bank": "First National",
    "payee_account_no": 200,
    "payment_amount": 4000.01,
    "payment_method": "ACH",
    "payor_account_no": 100,
}


def posted(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"payment_amount": 5},
        {"payment_amount": 0.01},
        {"payment_amount": AMOUNT_MAX},
        {"payee_account_no": 0, "payor_account_no": INT32_MAX},
        {"payee_bank": "x" * 140, "payment_method": "y" * 35},
        {"id": GOOD["id"].upper()},
        {"payee_bank": "Österreichische 银行"},
        {"payee_bank": "みずほ\u3000銀行", "payment_method": "a\u00a0b"},
    ],
)
def test_what_lies_on_a_limit_is_valid(change: dict[str, object]) -> None:
    expected = {**GOOD, **change}
    assert msgspec.to_builtins(decode_posted(posted(**change))) == expected


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": "not-a-uuid"}, "id"),
        ({"id": GOOD["id"] + "\n"}, "id"),
        ({"id": 7}, "id"),
        ({"payee_bank": ""}, "payee_bank"),
        ({"payee_bank": " \t"}, "payee_bank"),
        ({"payee_bank": "x" * 141}, "payee_bank"),
        ({"payee_account_no": -1}, "payee_account_no"),
        ({"payee_account_no": INT32_MAX + 1}, "payee_account_no"),
        ({"payee_account_no": 10**30}, "payee_account_no"),
        ({"payee_account_no": "200"}, "payee_account_no"),
        ({"payee_account_no": 200.5}, "payee_account_no"),
        ({"payee_account_no": True}, "payee_account_no"),
        ({"payee_account_no": None}, "payee_account_no"),
        ({"payment_amount": 0}, "payment_amount"),
        ({"payment_amount": -1}, "payment_amount"),
        ({"payment_amount": 1.001}, "payment_amount"),
        ({"payment_amount": 1e-9}, "payment_amount"),
        ({"payment_amount": AMOUNT_MAX * 1.01}, "payment_amount"),
        ({"payment_amount": "4000.01"}, "payment_amount"),
        ({"payment_method": "x" * 36}, "payment_method"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_lies_beyond_a_limit_is_an_error_of_its_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(PaymentError) as caught:
        decode_posted(posted(**change))
    assert caught.value.field == field


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(PaymentError) as caught:
        decode_posted(json.dumps({name: value for name, value in GOOD.items() if name != field}).encode())
    assert caught.value.field == field


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "+1", "0x10", "1.2.3"])
def test_what_is_no_number_is_an_error_of_its_field(number: str) -> None:
    with pytest.raises(PaymentError) as caught:
        decode_posted(posted().replace(b"4000.01", number.encode()))
    assert caught.value.field == "payment_amount"


@pytest.mark.parametrize("number", ["0e9999999999999999999", "1e-9999999999999999999", "-1E+9999999999999999999"])
@pytest.mark.parametrize("field", ["payment_amount", "payee_account_no"])
def test_a_number_beyond_any_decimal_is_an_error_of_its_field_and_ignored_where_nobody_asks_for_it(
    number: str, field: str
) -> None:
    huge = posted(**{field: "huge"}).replace(b'"huge"', number.encode())
    for read in (decode_posted, json_reader(ForeignPayment)):
        with pytest.raises(PaymentError) as caught:
            read(huge)
        assert caught.value.field == field
    spare = posted()[:-1] + b', "spare": ' + number.replace("E+", "E-").encode() + b"}"
    assert json_reader(ForeignPayment)(spare).payment_amount == 4000.01


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b"{}extra", posted()[:-1]])
def test_what_is_no_json_object_is_an_error(body: bytes) -> None:
    with pytest.raises(PaymentError):
        decode_posted(body)


@pytest.mark.parametrize("field", ["payee_bank", "payment_method"])
@pytest.mark.parametrize("char", ["\0", "\n", "\t", "\x7f", "\u200b", "\u200d", "\u202e", "\ufeff", "\u2028", "\ue000"])
def test_what_nobody_sees_is_refused_where_it_is_posted_and_read_where_others_wrote_it(field: str, char: str) -> None:
    for text in (f"{char}=1+1", f"First{char}Bank", char):
        with pytest.raises(PaymentError, match=f"U\\+{ord(char):04X}|blank") as caught:
            decode_posted(posted(**{field: text}))
        assert caught.value.field == field
    assert to_payment({**GOOD, field: f"First{char}Bank"}, ForeignPayment)


@given(st.binary())
def test_any_bytes_are_a_payment_or_a_payment_error(body: bytes) -> None:
    with suppress(PaymentError):
        decode_posted(body)


def test_malformed_is_told_apart_from_invalid() -> None:
    with pytest.raises(UndecodableError):
        decode_posted(b"{")
    with pytest.raises(PaymentError) as caught:
        decode_posted(posted(payment_amount=-1))
    assert not isinstance(caught.value, UndecodableError)


@given(st.integers(1, int(AMOUNT_MAX) * 100).map(lambda in_cents: in_cents / 100) | st.floats(0, 1e15))
@example(0.01)
@example(9999.99)
@example(AMOUNT_MAX)
@example(AMOUNT_MAX - 0.01)
@example(0.005)
@example(0.015)
@example(1.005)
@example(2.675)
@example(0.125)
@example(70368744177664.02)
@example(float(2**52) + 0.5)
def test_cents_are_the_exact_binary_value_rounded_half_up(amount: float) -> None:
    assert exact_cents(amount) == int((Decimal(amount) * 100).quantize(Decimal(1), ROUND_HALF_UP))


@given(st.integers(min_value=0, max_value=10**14))
def test_dollars_and_cents_are_the_same_sum(amount_in_cents: int) -> None:
    assert Decimal(dollars(amount_in_cents)) * 100 == amount_in_cents
    assert exact_cents(float(dollars(amount_in_cents))) == amount_in_cents
    assert cents_of(dollars(amount_in_cents)) == amount_in_cents


def test_the_json_schema_names_the_same_fields_and_limits_as_the_type() -> None:
    file = json.loads(schema_text("payment.schema.json"))
    derived = msgspec.json.schema(Payment)["$defs"]["Payment"]
    assert file["required"] == derived["required"] == list(FIELDS)
    limits = ("minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength")
    for field in FIELDS:
        assert {name: file["properties"][field].get(name) for name in limits} == {
            name: derived["properties"][field].get(name) for name in limits
        }

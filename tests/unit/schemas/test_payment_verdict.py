"""The verdict on JSON, the same of the published schema, the API's description, the edge, and the reader of topics."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.codecs import decode_posted, schema_text
from schemas.errors import PaymentError, UndecodableError
from schemas.kafka.topics import PAYMENT_JSON
from schemas.payment_reader import PaymentReader
from service.http.docs import description
from tests.unit.schemas.test_payment_reader import FIELDS, Record, Writers

PUBLISHED = json.loads(schema_text("payment.schema.json"))
DESCRIBED = json.loads(description())
MEMBERS = {name: json.dumps(value) for name, value in FIELDS.items()}

integers = st.integers(-2, 2**31 + 2) | st.sampled_from([2**31 - 1, 2**31, 10**20])
numbers = st.sampled_from(["0.001", "0.01", "1e2", "1E-2", "9999.990", "1e12", "1000000000000.01", "-1", "0", "1e-9"])
values = (
    integers.map(str)
    | integers.map(lambda number: f"{number}.0")
    | integers.map(lambda number: f"{number}.5")
    | numbers
    # What nobody sees is refused where it is posted, and read where other producers wrote it: see test_payment.
    | st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"]), max_size=150).map(
        json.dumps
    )
    | st.uuids().map(lambda uuid: json.dumps(str(uuid)))
    | st.sampled_from(["null", "true", "[]", "{}", '" "', '"\\u005c"', '"a\\"b"'])
)


def text(members: dict[str, str]) -> str:
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in members.items()) + "}"


def takes(body: str) -> bool:
    try:
        decode_posted(body.encode())
    except PaymentError:
        return False
    return True


def reads(body: str) -> bool:
    reader = PaymentReader(Writers({}))  # type: ignore[arg-type]
    record = Record(PAYMENT_JSON, body.encode())
    asyncio.run(reader.learn([record]))
    try:
        reader.read(record)
    except PaymentError:
        return False
    return True


def allows(schema: Any, body: str, root: Any = None) -> bool:
    """The schema's verdict, and the rule on decimals, which it says in words: doubles have no multiples of a cent."""
    payment = json.loads(body, parse_float=Decimal)
    amount = payment.get("payment_amount")
    if isinstance(amount, Decimal) and amount != round(amount, 2):
        return False
    validator = jsonschema.Draft202012Validator({**schema, "components": (root or {}).get("components")})
    return bool(validator.is_valid(json.loads(body)))


@given(
    st.dictionaries(st.sampled_from([*FIELDS, "more"]), values, max_size=3),
    st.sets(st.sampled_from(list(FIELDS)), max_size=1),
)
@example({"payee_account_no": "200.0"}, set())
@example({"payor_account_no": "2e2"}, set())
@example({"payee_account_no": "200.5"}, set())
@example({"payment_amount": "9999.9999999999999999"}, set())
@example({"payment_amount": "4000.0100"}, set())
@example({"payee_bank": '"\\"payment_amount\\": 1.234"'}, set())
@example({"more": '"\\"payment_amount\\": 1.234"'}, set())
def test_schema_description_edge_and_reader_agree(changes: dict[str, str], missing: set[str]) -> None:
    members = {name: value for name, value in {**MEMBERS, **changes}.items() if name not in missing}
    body = text(members)
    verdict = takes(body)
    assert allows(PUBLISHED, body) == verdict
    assert allows(DESCRIBED["components"]["schemas"]["Payment"], body, DESCRIBED) == verdict
    if "more" not in members:  # on the topics, fields that are not known are ignored
        assert reads(body) == verdict


@pytest.mark.parametrize("written", ["200", "200.0", "2e2", "2.00E+2", "200.000"])
def test_a_whole_number_is_one_however_it_is_written(written: str) -> None:
    assert decode_posted(text({**MEMBERS, "payee_account_no": written}).encode()).payee_account_no == 200


@pytest.mark.parametrize("amount", ["9999.9999999999999999", "0.010000000000000000001", "1e-3", "12.345"])
@pytest.mark.parametrize("bank", ['"B"', '"a\\"b"', '"payment_amount"'])
def test_more_than_two_decimals_are_refused_before_a_double_rounds_them_away(amount: str, bank: str) -> None:
    with pytest.raises(PaymentError) as caught:
        decode_posted(text({**MEMBERS, "payment_amount": amount, "payee_bank": bank}).encode())
    assert caught.value.field == "payment_amount"
    assert "two decimals" in caught.value.reason


@pytest.mark.parametrize("name", [*FIELDS, "more"])
@pytest.mark.parametrize("key", ["plain", "escaped"])
def test_a_name_that_stands_there_twice_is_refused(name: str, key: str) -> None:
    again = f'"{name}"' if key == "plain" else f'"\\u{ord(name[0]):04x}{name[1:]}"'
    value = MEMBERS.get(name, "1")
    body = text({**MEMBERS, name: value})[:-1] + f", {again}: {value}}}"
    record = Record(PAYMENT_JSON, body.encode())
    with pytest.raises(PaymentError) as caught:
        PaymentReader(Writers({})).read(record)  # type: ignore[arg-type]
    assert (caught.value.field, caught.value.reason) == (name, "stands there twice")
    assert not takes(body)


@pytest.mark.parametrize("account", ["200", "200.0", "2e2"])
@pytest.mark.parametrize("amount", ["1e400", "-1e400", "1E+999999999999", f"{10**29}.5", "1e-400", "0e400", "-0.0"])
def test_an_amount_of_any_size_has_the_same_verdict_whatever_the_other_numbers_look_like(
    amount: str, account: str
) -> None:
    body = text(MEMBERS | {"payment_amount": amount, "payee_account_no": account})
    for read in (takes, reads):
        assert not read(body)


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\0\0\xfe\xff"])
def test_a_byte_order_mark_is_named(mark: bytes) -> None:
    with pytest.raises(UndecodableError, match="BOM"):
        decode_posted(mark + text(MEMBERS).encode())


def test_deep_nesting_in_a_field_that_is_not_known_is_no_payment_or_one() -> None:
    body = text({**MEMBERS, "more": "[" * 900 + "]" * 900})
    record = Record(PAYMENT_JSON, body.encode())
    PaymentReader(Writers({})).read(record)  # type: ignore[arg-type]

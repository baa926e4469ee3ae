"""Payments read together: as each would be by itself, or none of them."""

import json
import uuid

from hypothesis import given
from hypothesis import strategies as st

from schemas.codecs import decode_posted
from schemas.ordinary_payments import read_together
from schemas.payment import FIELDS, ForeignPayment, Payment, json_reader

LINE = {
    "id": "6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b",
    "payee_bank": "B",
    "payee_account_no": 1,
    "payment_amount": 2.5,
    "payment_method": "ACH",
    "payor_account_no": 3,
}
TEXT = json.dumps(LINE).encode()
ODD = [
    b"{",
    b"}",
    b"null",
    b"[]",
    TEXT + TEXT,
    TEXT + b" " + TEXT,
    b" " + TEXT,
    TEXT[:-1],
    TEXT[:40],
    TEXT[40:],
    TEXT + b"," + TEXT,
    TEXT + b"x" * 1000,
    b"\xef\xbb\xbf" + TEXT,
    TEXT.replace(b'"B"', b'"\xff"'),
    TEXT.replace(b'"B"', b'"{"'),
    TEXT.replace(b'"B"', b'"\\""'),
    TEXT.replace(b'"B"', b'"  "'),
    TEXT.replace(b'"B"', b'"\\u200b"'),
    TEXT.replace(b'"B"', b'""'),
    TEXT.replace(b'"ACH"', b'" "'),
    TEXT.replace(b'"ACH"', b'"A\\nB"'),
    TEXT.replace(b"2.5", b"2.505"),
    TEXT.replace(b"2.5", b"0.29999999999999999"),
    TEXT.replace(b"2.5", b"1e3"),
    TEXT.replace(b"2.5", b"0"),
    TEXT.replace(b"2.5", b"NaN"),
    TEXT.replace(b"1,", b"1.0,"),
    TEXT.replace(b"1,", b"true,"),
    TEXT.replace(b"}", b', "payment_amount": 3}'),
    TEXT.replace(b"}", b', "more": 3}'),
    TEXT.replace(b'"payor_account_no": 3', b'"payee_account_no": 3'),
    TEXT.replace(b"6f1c", b"6f1g"),
    TEXT.replace(b"6f1c", b"6f "),
    TEXT.replace(b"6f1c", b"6-1c"),
    TEXT.replace(b"-", b"", 1),
    TEXT.replace(b"-5b6d-", b"5-b6d-"),
    TEXT.replace(b"6f1c", "6f1\u0663".encode()),
]

read_foreign = json_reader(ForeignPayment)


def fields(payment: Payment) -> list[object]:
    return [getattr(payment, name) for name in FIELDS]


def test_ordinary_payments_are_read_together() -> None:
    texts = [json.dumps({**LINE, "id": str(uuid.uuid4()), "payment_amount": cents / 100}) for cents in range(1, 200)]
    texts += [texts[0] + "\r", json.dumps({**LINE, "id": str(uuid.uuid4()).upper()}, separators=(",", ":"))]
    texts += [json.dumps({**LINE, "id": str(uuid.uuid4())}, indent=2), texts[0] + "\n"]
    together = read_together([text.encode() for text in texts])
    assert together is not None
    assert list(map(fields, together)) == [fields(decode_posted(text.encode())) for text in texts]


@given(st.lists(st.sampled_from([TEXT, TEXT, *ODD, TEXT + b"\n" + TEXT, b""]), min_size=1, max_size=4))
def test_whatever_is_read_together_is_what_each_text_is_by_itself(texts: list[bytes]) -> None:
    together = read_together(texts)
    if together is not None:
        for read in (decode_posted, read_foreign):
            assert list(map(fields, together)) == [fields(read(text)) for text in texts]

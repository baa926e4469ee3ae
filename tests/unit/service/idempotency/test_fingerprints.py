"""Identity of payments: the id in any case, and a fingerprint of all the rest."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.payment import Payment, json_lines
from service.idempotency.fingerprints import (
    FINGERPRINT_BYTES,
    fingerprint,
    fingerprints,
    id_bytes,
    ids_bytes,
    split_ids,
)

PAYMENT = Payment("6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b", "First National", 200, 4000.01, "ACH", 100)


@given(st.lists(st.uuids()))
def test_ids_are_their_sixteen_bytes_one_by_one_and_together(ids: list[UUID]) -> None:
    texts = [str(payment_id) for payment_id in ids]
    assert ids_bytes(texts) == [id_bytes(text) for text in texts] == [payment_id.bytes for payment_id in ids]
    assert split_ids(b"".join(ids_bytes(texts))) == ids_bytes(texts)


def test_an_id_is_the_same_in_capitals() -> None:
    assert id_bytes(PAYMENT.id) == id_bytes(PAYMENT.id.upper())


@pytest.mark.parametrize(
    "change",
    [
        {"payee_bank": "First Nationa"},
        {"payee_account_no": 201},
        {"payment_amount": 4000.02},
        {"payment_method": "Wire"},
        {"payor_account_no": 101},
    ],
)
def test_a_payment_with_another_field_has_another_fingerprint(change: dict[str, object]) -> None:
    assert fingerprint("payment_json", PAYMENT) != fingerprint(
        "payment_json", msgspec.structs.replace(PAYMENT, **change)
    )


def test_the_id_is_not_in_the_fingerprint_and_the_topic_is() -> None:
    other = msgspec.structs.replace(PAYMENT, id="00000000-0000-0000-0000-000000000000")
    assert fingerprint("payment_json", PAYMENT) == fingerprint("payment_json", other)
    assert fingerprint("payment_json", PAYMENT) != fingerprint("payment_avro", PAYMENT)


def test_payments_together_have_the_fingerprints_that_each_has_alone() -> None:
    payments = [msgspec.structs.replace(PAYMENT, payor_account_no=number) for number in range(50)]
    together = fingerprints("payment_json", json_lines(payments))
    assert together == [fingerprint("payment_json", payment) for payment in payments]
    assert set(map(len, together)) == {FINGERPRINT_BYTES}
    assert len(set(together)) == 50


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    """Processes share a log of them: with another value here, `entries.FORMAT` must be another one, too."""
    assert fingerprint("payment_json", PAYMENT).hex() == "7f884236927d8a8a"

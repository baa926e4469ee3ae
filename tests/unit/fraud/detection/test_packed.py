"""Packed payments: they come back the same, and are small."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.detection.packed import Origin, id_key, id_text, list_payments, pack, pack_id, payee_bytes, unpack
from schemas.case import ListedPayment
from schemas.kafka.topics import RAW_TOPICS
from schemas.payment import Payment, encode_json

NOON = 1_795_392_000_000
ODD_IDS = [
    "0000000-00000-0000-0000-000000000001",
    "-0000000-0000-0000-0000-000000000001",
    "abcdefAB-0000-0000-0000-000000000001",
    "a0000000-0000-0000-0000-0000 00000001",
    "g0000000-0000-0000-0000-000000000001",
    "\u06600000000-0000-0000-0000-000000000001",
]


@pytest.mark.parametrize("payment_id", ODD_IDS)
def test_what_only_looks_like_a_uuid_comes_back_the_same(payment_id: str) -> None:
    packed = pack(Payment(payment_id, "Bank", 1, 1.0, "ACH", 2), NOON, 0, Origin("payment_json", 0, 0))
    assert [payment.id for payment in unpack([packed])] == [payment_id]


@given(
    st.one_of(
        st.uuids().map(str),
        st.uuids().map(lambda uuid: str(uuid).upper()),
        st.text(max_size=40),
        st.builds(lambda uuid, at: str(uuid)[:at] + str(uuid)[at:].upper(), st.uuids(), st.integers(0, 36)),
        st.text("0123456789abcdefABCDEF- ", min_size=36, max_size=36),
    ),
    st.integers(1, 10**14).map(lambda cents: cents / 100),
    st.sampled_from([*RAW_TOPICS, "payments", ""]),
    st.integers(0, 2**63),
)
def test_a_packed_payment_comes_back_the_same(payment_id: str, amount: float, topic: str, at_ms: int) -> None:
    packed = pack(Payment(payment_id, "Bank", 1, amount, "Überweisung", 2), at_ms, 0, Origin(topic, 3, 4))
    back = ListedPayment(payment_id, amount, "Überweisung", at_ms, topic, 2, "Bank", 1, 3, 4)
    assert list_payments([packed, packed]) == (back, back)
    assert [payment.origin for payment in unpack([packed])] == [Origin(topic, 3, 4)]
    assert packed.endswith(payee_bytes("Bank", 1))
    assert unpack([]) == []


def test_capitals_make_no_other_id() -> None:
    text = "6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b"
    packed = [pack_id(text), pack_id(text.upper()), pack_id(text[:20] + text[20:].upper())]
    assert len(set(packed)) == 3
    assert {id_key(packed_id) for packed_id in packed} == {packed[0]}
    assert [id_text(packed_id) for packed_id in packed] == [text, text.upper(), text[:20] + text[20:].upper()]


def test_a_usual_payment_packs_into_74_bytes_whichever_raw_topic_it_came_from() -> None:
    payment = Payment("6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b", "First National", 2_000_000, 9999.99, "ACH", 1_000_000)
    sizes = {len(pack(payment, NOON, 1_000_000, Origin(topic, 5, 1_000_000))) for topic in RAW_TOPICS}
    assert sizes == {74}


def test_a_payment_of_before_its_record_was_known_is_listed_without_it_and_can_be_read() -> None:
    packed = pack(Payment(str(UUID(int=1)), "Bank", 1, 1.0, "ACH", 2), NOON, 0, Origin("payment_json", -1, -1))
    payments = list_payments([packed])
    assert (payments[0].topic, payments[0].partition, payments[0].offset) == ("payment_json", None, None)
    assert msgspec.json.decode(encode_json(payments), type=tuple[ListedPayment, ...]) == payments


def test_packed_payments_can_be_read_by_later_versions() -> None:
    """They stand in changelogs: what has once been written must stay readable."""
    packed = "9bc4106f1c2a345b6d4e7f8a9b0c1d2e3f4a5bce000f423ecf000001a205bbc60003a341434802010507a5466972737402"
    payment = Payment("6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b", "First", 2, 9999.98, "ACH", 7)
    origin = Origin("payment_protobuf", 1, 5)
    assert pack(payment, 1_795_392_521_728, 3, origin).hex() == packed
    (back,) = unpack([bytes.fromhex(packed)])
    assert (back.id, back.payment_amount, back.at_ms, back.origin) == (payment.id, 9999.98, 1_795_392_521_728, origin)

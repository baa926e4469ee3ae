"""Shelves: an account's payments, their count and sum, whether they are few or a volume."""

from uuid import UUID

import pytest

from fraud.detection.packed import Origin, pack, pack_id, payee_bytes
from fraud.detection.shelves import (
    VOLUME_PAYMENTS,
    Part,
    Shelf,
    Volume,
    bounds_of,
    bounds_of_payee,
    payments_of,
    payments_with_id,
)
from schemas.payment import Payment

NOON = 1_795_392_000_000
FEW, MANY = VOLUME_PAYMENTS, VOLUME_PAYMENTS + 1


def put(shelf: Shelf, number: int, *, account: int = 1, at_ms: int = NOON, text: str | None = None) -> Part:
    """Payment `number` of an account, of as many cents, to payee 0 or 1 by turns."""
    payment_id = text or str(UUID(int=number))
    payment = Payment(payment_id, "Bank", number % 2, number / 100, "ACH", account)
    packed = pack(payment, at_ms, number, Origin("payment_json", 0, number))
    return shelf.put(account, payment, pack_id(payment_id), number, at_ms, packed)


def filled(count: int) -> tuple[Shelf, Part]:
    shelf = Shelf(NOON)
    for number in range(1, count + 1):
        part = put(shelf, number)
    return shelf, part


@pytest.mark.parametrize("count", [1, FEW, MANY, 3 * MANY])
def test_count_and_sum_are_those_of_the_payments(count: int) -> None:
    shelf, part = filled(count)
    assert bounds_of(part) == (count, sum(range(1, count + 1)))
    assert sorted(payment.cents for payment in payments_of(part)) == list(range(1, count + 1))
    assert sorted(payment.arrival for _, payment in shelf) == list(range(1, count + 1))
    assert isinstance(part, Volume) is (count > VOLUME_PAYMENTS)


def test_few_payments_are_in_order_of_arrival() -> None:
    _, part = filled(FEW)
    assert [payment.arrival for payment in payments_of(part)] == list(range(1, FEW + 1))


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize("payee", [0, 1])
def test_bounds_of_a_payee_are_not_below_its_payments(count: int, payee: int) -> None:
    _, part = filled(count)
    to_payee = [number for number in range(1, count + 1) if number % 2 == payee]
    if isinstance(part, Volume):
        number, cents = part.bounds_of((payee, "BANK"))
    else:
        number, cents = bounds_of_payee(part, payee_bytes("Bank", payee))
    assert number == len(to_payee)
    assert cents >= sum(to_payee)
    assert {payment.cents for payment in payments_of(part, (payee, "BANK"))} >= {*to_payee}


def test_of_a_volume_the_payments_to_one_payee_come_alone() -> None:
    _, part = filled(MANY)
    assert isinstance(part, Volume)
    assert {payment.payee_account_no for payment in payments_of(part, (1, "BANK"))} == {1}
    for other in ((7, "BANK"), (1, "OTHER BANK")):
        assert payments_of(part, other) == []
        assert part.bounds_of(other) == (0, 0)


def test_an_id_that_is_in_a_volume_twice_comes_twice() -> None:
    shelf, _ = filled(MANY)
    text = str(UUID(int=7))
    for number in (1000, 1001):
        part = put(shelf, number, text=text)
    assert sorted(payment.cents for payment in payments_with_id(part, pack_id(text))) == [7, 1000, 1001]


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize("text", [None, "an id that is no UUID"])
def test_payments_are_found_by_their_id(count: int, text: str | None) -> None:
    shelf, _ = filled(count)
    part = put(shelf, 999, text=text)
    packed_id = pack_id(text or str(UUID(int=999)))
    assert [payment.cents for payment in payments_with_id(part, packed_id)] == [999]
    assert list(payments_with_id(part, pack_id(str(UUID(int=998))))) == []


def test_accounts_are_apart_and_the_shelf_knows_its_times() -> None:
    shelf = Shelf(NOON)
    put(shelf, 1, account=1, at_ms=NOON)
    put(shelf, 2, account=2, at_ms=NOON - 5)
    put(shelf, 3, account=1, at_ms=NOON + 7)
    assert {account: bounds_of(part) for account, part in shelf.parts.items()} == {1: (2, 4), 2: (1, 2)}
    assert (shelf.count, shelf.first_ms, shelf.last_ms) == (3, NOON - 5, NOON + 7)

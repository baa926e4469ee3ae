"""Records as columns, and the delivery that waits for their outcomes."""

from collections import Counter

import pytest

from schemas.kafka.partitioning import partition_of
from service.producer.outcomes import NotAccepted, OutcomeUnknown, Receipt
from service.producer.records import Delivery, Records

UNKNOWN = OutcomeUnknown("?")


def records(delivery: Delivery, number: int, *, ids: bool = True) -> Records:
    names = [b"%d" % row for row in range(number)]
    columns = Records(delivery, "t", 1000, list(range(number)), names, [name * 2 for name in names])
    if ids:
        columns.ids, columns.fingerprints = [b"id" + name for name in names], [b"print" + name for name in names]
    return columns


async def test_a_delivery_is_settled_by_the_first_outcome_of_each_payment() -> None:
    delivery = Delivery(2, [], 60.0)
    receipt = Receipt(3, 17, 1000)
    delivery.settle(1, UNKNOWN)
    delivery.settle(1, receipt)
    assert not delivery.settled.done()
    delivery.settle_all([0], [receipt])
    await delivery.settled
    assert delivery.outcomes == [receipt, UNKNOWN]
    assert delivery.tally() == Counter({"acknowledged": 1, "outcome-unknown": 1})


async def test_a_payment_that_is_not_handed_in_counts_as_invalid() -> None:
    delivery = Delivery(1, [], 60.0)
    delivery.reject(0)
    await delivery.settled
    assert delivery.tally() == Counter({"invalid": 1})


@pytest.mark.parametrize("ids", [True, False])
async def test_all_columns_are_selected_alike(*, ids: bool) -> None:
    whole = records(Delivery(4, [], 60.0), 4, ids=ids)
    part = whole.select([3, 1])
    assert (part.positions, part.keys, part.values) == ([3, 1], [b"3", b"1"], [b"33", b"11"])
    assert part.ids == ([b"id3", b"id1"] if ids else [])
    assert part.fingerprints == ([b"print3", b"print1"] if ids else [])
    assert (part.count, part.size) == (2, 6)


async def test_a_split_leaves_nothing_out() -> None:
    head, tail = records(Delivery(5, [], 60.0), 5).split(2)
    assert (head.positions, tail.positions) == ([0, 1], [2, 3, 4])


@pytest.mark.parametrize("number", [1, 40])
async def test_rows_are_parted_by_the_partition_of_their_keys_in_order(number: int) -> None:
    parts = dict(records(Delivery(number, [], 60.0), number).by_partition(3))
    assert sorted(position for part in parts.values() for position in part.positions) == list(range(number))
    for partition, part in parts.items():
        assert {partition_of(key, 3) for key in part.keys} == {partition}
        assert part.positions == sorted(part.positions)


async def test_receipts_stand_at_consecutive_offsets() -> None:
    part = records(Delivery(3, [], 60.0), 3)
    assert [receipt.offset for receipt in part.receipts(Receipt(1, 17, 5))] == [17, 18, 19]


async def test_a_fingerprint_is_found_by_its_id() -> None:
    assert records(Delivery(3, [], 60.0), 3).fingerprint(b"id2") == b"print2"


async def test_records_whose_client_has_its_response_say_so() -> None:
    part = records(Delivery(2, [], 60.0), 2)
    assert not part.has_response
    part.settle(NotAccepted("no"))
    assert part.has_response

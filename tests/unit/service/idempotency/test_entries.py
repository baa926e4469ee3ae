"""Entries packed as columns: each is found as it went in."""

from hypothesis import given
from hypothesis import strategies as st

from service.idempotency.entries import NO_OWNER, Entry, Run, pack, packed_entry, packed_ids
from service.producer.outcomes import Receipt

PRINT = b"12345678"
NOWHERE = Receipt(0, 0, 0)

id_bytes = st.binary(min_size=16, max_size=16)
runs = st.builds(
    lambda rows, since, owner, place: Run(list(rows), list(rows.values()), since, owner, Receipt(*place)),
    st.dictionaries(id_bytes, st.binary(min_size=8, max_size=8), min_size=1, max_size=5),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(0, 999), st.integers(0, 2**60), st.integers(0, 2**60)),
)


@given(st.lists(runs, min_size=1, max_size=4, unique_by=lambda run: run.ids[0]))
def test_each_entry_is_found_as_it_went_in(written: list[Run]) -> None:
    packed = pack(written)
    ids = [payment_id for run in written for payment_id in run.ids]
    assert packed_ids(packed) == ids
    for run in written:
        for row, payment_id in enumerate(run.ids):
            if ids.count(payment_id) == 1:
                receipt = run.first_receipt.after(row)
                assert packed_entry(packed, payment_id) == Entry(run.fingerprints[row], run.since, run.owner, receipt)
                assert run.entry(payment_id) == packed_entry(packed, payment_id)


def test_what_is_not_there_is_not_found_even_where_its_bytes_stand_across_two_ids_or_in_another_column() -> None:
    packed = pack([Run([b"a" * 16, b"b" * 16, b"c" * 16], [PRINT] * 3, 1)])
    assert packed_entry(packed, b"a" * 8 + b"b" * 8) is None
    assert packed_entry(packed, PRINT * 2) is None
    assert packed_entry(b"", b"a" * 16) is None


def test_an_id_is_found_behind_bytes_that_look_like_it() -> None:
    looks_alike = [b"x" * 8 + b"a" * 8, b"a" * 8 + b"y" * 8]
    found = packed_entry(pack([Run([*looks_alike, b"a" * 16], [PRINT] * 3, 1)]), b"a" * 16)
    assert found == Entry(PRINT, 1, NO_OWNER, NOWHERE.after(2))

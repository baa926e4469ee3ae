"""The log: its entries, in order, over files that change with the time."""

from pathlib import Path

import pytest

from service.idempotency.receipt_log import BEGINNING, LOG_ERRORS, ReceiptLog


class Clock:
    now = 6000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def add(log: ReceiptLog, entry: bytes) -> int:
    with log.exclusive() as end:
        return end.add(entry)


def test_entries_are_read_in_order_from_an_address_and_by_it(tmp_path: Path, clock: Clock) -> None:
    log = ReceiptLog(tmp_path, 600, clock)
    assert log.fresh
    addresses = [add(log, entry) for entry in (b"a", b"b", b"c")]
    assert list(log.after(BEGINNING)) == list(zip(addresses, (b"a", b"b", b"c"), strict=True))
    assert [entry for _, entry in log.after(addresses[1])] == [b"c"]
    assert [log.entry(address) for address in addresses] == [b"a", b"b", b"c"]
    log.close()
    assert not ReceiptLog(tmp_path, 600, clock).fresh


def test_the_file_before_is_still_read_and_an_older_one_deleted(tmp_path: Path, clock: Clock) -> None:
    log = ReceiptLog(tmp_path, 600, clock)
    first = add(log, b"a")
    clock.now += 600
    second = add(log, b"b")
    assert second > first
    assert [entry for _, entry in log.after(BEGINNING)] == [b"a", b"b"]
    clock.now += 600
    third = add(log, b"c")
    assert [entry for _, entry in log.after(BEGINNING)] == [b"b", b"c"]
    assert (log.entry(first), log.entry(third)) == (None, b"c")
    assert len(list(tmp_path.glob("*.lmdb"))) == 2


def test_nothing_is_added_where_the_block_fails(tmp_path: Path, clock: Clock) -> None:
    log = ReceiptLog(tmp_path, 600, clock)

    def fail() -> None:
        with log.exclusive() as end:
            end.add(b"a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(log.after(BEGINNING)) == []


def test_files_that_are_no_log_are_an_error(tmp_path: Path, clock: Clock) -> None:
    log = ReceiptLog(tmp_path, 600, clock)
    add(log, b"a")
    log.close()
    for file in tmp_path.glob("*.lmdb"):
        file.write_bytes(b"nonsense" * 4096)
    with pytest.raises(LOG_ERRORS):
        list(log.after(BEGINNING))
    log.throw_away()
    assert list(log.after(BEGINNING)) == []


def test_what_is_mapped_is_on_the_disk_so_that_a_full_one_cannot_end_the_process(tmp_path: Path, clock: Clock) -> None:
    log = ReceiptLog(tmp_path, 600, clock)
    add(log, b"a")
    for file in tmp_path.glob("*-lock"):
        state = file.stat()
        assert state.st_blocks * 512 >= state.st_size > 0
    log.close()

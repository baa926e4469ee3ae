"""The files with receipts, and who shares them."""

import multiprocessing
import os
from pathlib import Path

import pytest

from service.idempotency.entries import NO_OWNER, Entry, Run
from service.idempotency.receipt_log import LOG_ERRORS
from service.idempotency.receipts import Receipts
from service.producer.outcomes import Receipt

KEY, OTHER = b"k" * 16, b"o" * 16
PRINT = b"12345678"
PLACE = Receipt(3, 2**40, 1_795_492_000_000)


class Clock:
    def __init__(self) -> None:
        self.now = 6000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def receipts(tmp_path: Path, clock: Clock) -> Receipts:
    return Receipts(tmp_path, 600, clock)


def keep(receipts: Receipts, key: bytes = KEY) -> None:
    receipts.keep([Run([key], [PRINT], receipts.seconds(), first_receipt=PLACE)])


def random_run(number: int) -> Run:
    return Run([os.urandom(16) for _ in range(number)], [PRINT] * number, 6000, first_receipt=PLACE)


def keep_at(folder: Path, now: float, key: bytes) -> None:
    keep(Receipts(folder, 600, lambda: now), key)


def keep_elsewhere(folder: Path, now: float, key: bytes) -> None:
    """As another process of the service; LMDB opens a file once in each."""
    other = multiprocessing.get_context("spawn").Process(target=keep_at, args=(folder, now, key))
    other.start()
    other.join()
    assert other.exitcode == 0


def never(_: int) -> bool:
    return False


def test_a_receipt_is_found_as_it_was_kept_and_again_by_the_next_process(tmp_path: Path, receipts: Receipts) -> None:
    assert receipts.fresh
    assert receipts.find([KEY]) == [None]
    keep(receipts)
    assert receipts.find([OTHER, KEY]) == [None, Entry(PRINT, 6000, NO_OWNER, PLACE)]
    receipts.close()
    again = Receipts(tmp_path, 600, receipts._clock)
    assert not again.fresh
    assert again.find([KEY]) == [Entry(PRINT, 6000, NO_OWNER, PLACE)]


@pytest.mark.parametrize("sent_at", [6000.0, 6599.0])
def test_it_is_kept_for_its_time_and_not_longer_and_its_file_goes(
    tmp_path: Path, receipts: Receipts, clock: Clock, sent_at: float
) -> None:
    clock.now = sent_at
    keep(receipts)
    for _ in range(10):
        clock.now += 60
        keep(receipts, OTHER)
        assert receipts.find([KEY]) != [None]
    clock.now += 1
    assert receipts.find([KEY]) == [None]
    clock.now += 1200
    keep(receipts, OTHER)
    assert len(list(tmp_path.glob("*.lmdb"))) == 2
    assert receipts.claim([(KEY, PRINT)], 7, never) == [None]


def test_an_id_is_claimed_once_until_it_is_given_back_or_has_its_receipt(receipts: Receipts, clock: Clock) -> None:
    assert receipts.claim([(KEY, PRINT)], 7, never) == [None]
    [claim] = receipts.claim([(KEY, PRINT)], 8, never)
    assert claim is not None
    assert claim.owner == 7
    receipts.free([KEY], 8)
    assert receipts.claim([(KEY, PRINT)], 8, never) != [None]
    receipts.free([KEY], 7)
    assert receipts.claim([(KEY, PRINT)], 8, never) == [None]
    assert receipts.claim([(KEY, PRINT)], 9, lambda owner: owner == 8) == [None]
    clock.now += 600
    keep(receipts)
    assert receipts.claim([(KEY, PRINT)], 9, lambda _: True) == [Entry(PRINT, 6600, NO_OWNER, PLACE)]


def test_what_other_processes_write_is_seen_before_an_id_is_claimed_also_at_the_end_of_the_last_file(
    tmp_path: Path, receipts: Receipts, clock: Clock
) -> None:
    keep(receipts, b"x" * 16)
    keep_elsewhere(tmp_path, clock.now, KEY)
    keep_elsewhere(tmp_path, clock.now + 599, OTHER)
    clock.now += 600
    keep_elsewhere(tmp_path, clock.now, b"y" * 16)
    entries = receipts.claim([(KEY, PRINT), (OTHER, PRINT), (b"y" * 16, PRINT), (b"z" * 16, PRINT)], 7, never)
    assert [entry and entry.since for entry in entries] == [6000, 6599, 6600, None]


def test_a_claim_that_is_renewed_counts_beyond_its_time(receipts: Receipts, clock: Clock) -> None:
    receipts.claim([(KEY, PRINT), (OTHER, PRINT)], 7, never)
    clock.now += 400
    receipts.renew([(KEY, PRINT)], 7)
    clock.now += 400
    receipts.forget()
    [claim, expired] = receipts.claim([(KEY, PRINT), (OTHER, PRINT)], 8, never)
    assert claim is not None
    assert (claim.owner, expired) == (7, None)


def test_whoever_follows_is_told_which_ids_others_have_written(
    tmp_path: Path, receipts: Receipts, clock: Clock
) -> None:
    assert receipts.follow() == []
    keep_elsewhere(tmp_path, clock.now, KEY)
    assert receipts.follow() == [KEY]
    assert receipts.follow() == []
    assert receipts.find([KEY]) != [None]


def test_an_entry_is_let_go_of_by_its_youngest_record(receipts: Receipts, clock: Clock) -> None:
    ages = {1: 10.0, 2: 590.0}
    written = [(KEY, PRINT, Receipt(0, 0, 1)), (OTHER, PRINT, Receipt(0, 1, 2))]
    receipts.keep_first(written, ages.__getitem__)
    clock.now += 300
    receipts.forget()
    assert [entry is None for entry in receipts.find([KEY, OTHER])] == [False, True]


def test_what_is_too_old_is_let_go_of(receipts: Receipts, clock: Clock) -> None:
    keep(receipts)
    clock.now += 300
    keep(receipts, OTHER)
    clock.now += 301
    receipts.forget()
    assert [receipts._addresses.find(KEY), receipts.find([OTHER])[0] is None] == [None, False]


def test_what_is_found_on_the_topics_takes_the_place_of_claims_and_of_nothing_else(receipts: Receipts) -> None:
    later = Receipt(1, 1, 1)
    keep(receipts)
    receipts.claim([(OTHER, PRINT)], 7, never)
    receipts.keep_first(
        [(KEY, PRINT, later), (OTHER, PRINT, PLACE), (b"x" * 16, PRINT, later)],
        lambda timestamp: 601.0 if timestamp == 1 else 10.0,
    )
    assert [entry and entry.receipt for entry in receipts.find([KEY, OTHER, b"x" * 16])] == [PLACE, PLACE, None]


def test_on_a_machine_that_has_just_come_up_older_payments_are_known_too(tmp_path: Path) -> None:
    receipts = Receipts(tmp_path, 600, lambda: 5.0)
    receipts.keep_first([(KEY, PRINT, PLACE)], lambda _: 500.0)
    assert receipts.find([KEY]) != [None]


NODE = b"\x34\0\0\0\0\0\x04\0\0\0\0\x03"
"""The node of a fourth entry of one row, as LMDB has it: the entry's length, flags, the key's length, and the key."""


@pytest.mark.parametrize("damage", ["garbage", "cut short", "a bad key"])
def test_a_damaged_file_is_replaced_by_an_empty_one(tmp_path: Path, receipts: Receipts, damage: str) -> None:
    for rows in (1000, 1, 1, 1):
        receipts.keep([random_run(rows)])
    receipts.close()
    for file in tmp_path.glob("*.lmdb"):
        if damage == "garbage":
            file.write_bytes(b"nonsense" * 4096)
        elif damage == "a bad key":
            file.write_bytes(file.read_bytes().replace(NODE, NODE.replace(b"\x04", b"\0")))
        else:
            os.truncate(file, file.stat().st_size // 2)
    again = Receipts(tmp_path, 600, receipts._clock)
    assert again.damaged
    with pytest.raises(LOG_ERRORS):
        keep(again)
    again.throw_away()
    keep(again)
    assert again.find([KEY]) != [None]


def test_files_that_another_process_threw_away_are_left_for_those_that_stand_there_now(
    tmp_path: Path, receipts: Receipts
) -> None:
    keep(receipts)
    assert not receipts.replaced()
    for file in tmp_path.glob("*.lmdb*"):
        file.unlink()
    assert receipts.replaced()
    receipts.reopen()
    assert not receipts.replaced()
    assert receipts.find([KEY]) == [None]


def test_what_is_thrown_away_is_gone(receipts: Receipts) -> None:
    keep(receipts)
    receipts.throw_away()
    assert receipts.find([KEY]) == [None]
    keep(receipts)
    assert receipts.find([KEY]) != [None]


def test_a_full_file_is_an_error_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.idempotency.receipt_log.MAX_FILE_BYTES", 100_000)
    receipts = Receipts(tmp_path, 600)
    with pytest.raises(LOG_ERRORS):
        receipts.keep([random_run(5000)])

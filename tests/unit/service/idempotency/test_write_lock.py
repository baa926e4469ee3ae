"""A process that is stopped while it writes receipts does not hold up the others."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import pytest

from service.idempotency.entries import Run
from service.idempotency.receipt_log import ReceiptLog
from service.idempotency.receipts import Receipts
from service.idempotency.write_lock import WriteLock

KEY, OTHER = b"k" * 16, b"o" * 16
FINGERPRINT = b"12345678"
NOW = 6000.0


def keep(receipts: Receipts, payment_id: bytes) -> None:
    receipts.keep([Run([payment_id], [FINGERPRINT], receipts.seconds())])


def never(_: int) -> bool:
    return False


def stop_within_a_write(folder: Path) -> None:
    with ReceiptLog(folder, 600, lambda: NOW).exclusive() as log:
        os.kill(os.getpid(), signal.SIGSTOP)
        log.add(b"written to a file that is gone")


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BaseProcess]:
    """A process that was stopped within a write to the folder `receipts`."""
    monkeypatch.setattr("service.idempotency.write_lock.MAX_WAIT_SECONDS", 0.2)
    (tmp_path / "receipts").mkdir()
    process = multiprocessing.get_context("spawn").Process(target=stop_within_a_write, args=(tmp_path / "receipts",))
    process.start()
    assert process.pid is not None
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        process.join(0.01)
        assert process.exitcode is None
    yield process
    os.kill(process.pid, signal.SIGCONT)
    process.join()
    assert process.exitcode == 0


def test_a_write_gives_up_and_reading_goes_on(tmp_path: Path, stopped: BaseProcess) -> None:
    receipts = Receipts(tmp_path / "receipts", 600, lambda: NOW)
    with pytest.raises(TimeoutError, match="was it stopped"):
        keep(receipts, KEY)
    with pytest.raises(TimeoutError):
        receipts.claim([(KEY, FINGERPRINT)], 1, never)
    assert receipts.follow() == []
    assert receipts.find([KEY]) == [None]


def test_once_it_is_thrown_away_the_log_takes_receipts_again(tmp_path: Path, stopped: BaseProcess) -> None:
    receipts = Receipts(tmp_path / "receipts", 600, lambda: NOW)
    receipts.begin_anew()
    keep(receipts, KEY)
    assert receipts.find([KEY]) != [None]


def test_a_second_process_goes_on_with_what_the_first_has_begun_anew(tmp_path: Path) -> None:
    receipts = Receipts(tmp_path / "receipts", 600, lambda: NOW)
    keep(receipts, KEY)
    begun = multiprocessing.get_context("spawn").Process(target=begin_anew_with, args=(tmp_path / "receipts", OTHER))
    begun.start()
    begun.join()
    receipts.begin_anew()
    assert receipts.find([KEY]) == [None]
    assert receipts.find([OTHER]) != [None]


def begin_anew_with(folder: Path, payment_id: bytes) -> None:
    receipts = Receipts(folder, 600, lambda: NOW)
    receipts.begin_anew()
    keep(receipts, payment_id)


def test_the_time_of_a_file_that_is_over_is_waited_for_no_longer(tmp_path: Path, stopped: BaseProcess) -> None:
    receipts = Receipts(tmp_path / "receipts", 600, lambda: NOW + 600)
    assert isinstance(receipts.damaged, TimeoutError)
    receipts.begin_anew()
    keep(receipts, KEY)
    assert receipts.find([KEY]) != [None]


def test_writers_take_turns(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    first, second = WriteLock(tmp_path / "file"), WriteLock(tmp_path / "file")
    for lock in (first, second, first):
        with lock.hold():
            assert not (second if lock is first else first)._take()
    first.close()
    second.close()

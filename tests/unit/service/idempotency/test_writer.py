"""The writer: receipts in memory until they are in the log, and lost ones counted."""

from pathlib import Path
from typing import Any

import pytest

from service.idempotency.processes import Processes
from service.idempotency.receipts import Receipts
from service.idempotency.state import ReceiptState
from service.idempotency.writer import ReceiptWriter
from service.producer.outcomes import Receipt
from service.producer.records import Delivery, Records

IDS = [b"a" * 16, b"b" * 16]
FIRST = Receipt(3, 17, 1_795_492_000_000)


class Setting:
    def __init__(self, folder: Path) -> None:
        self.receipts, self.processes, self.state = Receipts(folder, 600), Processes(folder), ReceiptState()
        self.state.finish(resets=0)
        self.writer = ReceiptWriter(self.receipts, self.processes, self.state)
        self.peer = Processes(folder)

    def close(self) -> None:
        self.receipts.close()
        self.processes.leave()
        self.peer.leave()


@pytest.fixture
async def setting(tmp_path: Path) -> Any:
    opened = Setting(tmp_path)
    yield opened
    opened.close()


def records() -> Records:
    return Records(Delivery(2, [], 60.0), "t", 1000, [0, 1], [b"k"] * 2, [b"v"] * 2, IDS, [b"print001", b"print002"])


async def test_receipts_are_found_before_and_after_they_are_written(setting: Setting) -> None:
    setting.writer.add(records(), FIRST)
    entry = setting.writer.entry(IDS[1])
    assert entry is not None
    assert (entry.fingerprint, entry.receipt) == (b"print002", Receipt(3, 18, FIRST.timestamp))
    assert setting.receipts.find(IDS) == [None, None]
    assert setting.writer.write({}) == []
    assert setting.writer.unwritten == {}
    assert [entry and entry.receipt.offset for entry in setting.receipts.find(IDS)] == [17, 18]


async def test_a_claim_is_given_back_unless_its_payment_is_in_flight_again(setting: Setting) -> None:
    token = setting.processes.token
    setting.receipts.claim([(payment_id, b"print001") for payment_id in IDS], token, lambda _: False)
    setting.writer.free(IDS)
    setting.writer.write({IDS[0]: records()})
    assert [entry is None for entry in setting.receipts.find(IDS)] == [False, True]


async def test_what_is_written_is_marked_up_to_the_oldest_payment_in_flight(setting: Setting) -> None:
    setting.writer.write({IDS[0]: records()})
    assert not setting.peer.dead()
    setting.processes.leave()
    assert list(setting.peer.dead().values()) == [1.0]
    setting.processes = Processes(setting.receipts._log._folder)


async def test_receipts_that_cannot_be_written_are_counted_and_the_topics_are_to_tell(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(setting.receipts, "keep", full)
    setting.writer.add(records(), FIRST)
    setting.writer.write({})
    assert (setting.state.lost, setting.state.usable) == (2, False)
    assert setting.state.uncertain.is_set()

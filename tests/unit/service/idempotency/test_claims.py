"""Claims: held payments are let go of when there is something new about them, or too late."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.idempotency.claims import Claims
from service.idempotency.processes import Processes
from service.idempotency.receipts import Receipts
from service.idempotency.state import ReceiptState
from service.producer.records import Delivery, Records

ID, PRINT = b"i" * 16, b"print001"


class Setting:
    def __init__(self, folder: Path, *, shared: bool = True) -> None:
        self.receipts, self.processes, self.state = Receipts(folder, 600), Processes(folder), ReceiptState()
        self.claims = Claims(self.receipts, self.processes, self.state, shared=shared)
        self.peer = Processes(folder)


@pytest.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    opened = Setting(tmp_path)
    yield opened
    opened.receipts.close()
    opened.processes.leave()


def record(seconds: float = 60.0) -> Records:
    return Records(Delivery(1, [], seconds), "t", 1000, [0], [b"k"], [b"v"], [ID], [PRINT])


async def test_an_id_is_claimed_by_the_first_that_looks_it_up(setting: Setting) -> None:
    assert setting.claims.look_up([ID], [PRINT]) == [None]
    [entry] = setting.receipts.find([ID])
    assert entry is not None
    assert entry.owner == setting.processes.token


async def test_without_other_processes_nothing_is_claimed(tmp_path: Path) -> None:
    alone = Setting(tmp_path, shared=False)
    assert alone.claims.look_up([ID], [PRINT]) == [None]
    assert alone.receipts.find([ID]) == [None]
    alone.receipts.close()


async def test_a_held_payment_is_let_go_of_when_something_was_written_of_it(setting: Setting) -> None:
    held = record()
    setting.claims.hold(held, setting.peer.token)
    assert setting.claims.release([b"o" * 16]) == []
    assert setting.claims.release([ID]) == [held]
    assert setting.claims.release([ID]) == []


async def test_a_held_payment_of_a_dead_process_waits_until_its_receipts_were_read(setting: Setting) -> None:
    held = record()
    setting.claims.hold(held, setting.peer.token)
    setting.peer.leave()
    assert setting.claims.release([]) == []
    assert setting.state.uncertain.is_set()
    setting.processes.forget(setting.processes.dead())
    assert setting.claims.release([]) == [held]


async def test_a_held_payment_expires_at_its_deadline(setting: Setting) -> None:
    early, late = record(seconds=1.0), record(seconds=60.0)
    setting.claims.hold(early, setting.peer.token)
    assert setting.claims.expire(late.delivery.deadline) == [early]
    setting.claims.hold(late, setting.peer.token)
    assert setting.claims.expire(early.delivery.deadline) == []


async def test_claims_are_renewed_in_a_log_that_was_thrown_away(setting: Setting) -> None:
    in_flight = {ID: record()}
    setting.claims.renew(in_flight, unclaimed=[])
    assert setting.receipts.find([ID]) == [None]
    setting.state.reset()
    setting.claims.renew(in_flight, unclaimed=[in_flight[ID]])
    assert setting.receipts.find([ID]) == [None]
    setting.state.reset()
    setting.claims.renew(in_flight, unclaimed=[])
    assert setting.receipts.find([ID]) != [None]

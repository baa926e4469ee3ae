"""Recovery: from which time the topics are read, and what follows. The topics are played by a list of receipts."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from service.idempotency import recovery
from service.idempotency.deduplicator import Deduplicator
from service.idempotency.processes import Processes
from service.idempotency.receipts import Receipts
from service.idempotency.recovery import MARGIN_SECONDS, Recovery
from service.producer.connection import ProducerConnection
from service.producer.outcomes import NeverAnswered, NotAccepted, Receipt
from service.producer.payment_producer import PaymentProducer
from service.producer.records import Delivery, Records, milliseconds
from tests.integration.processes import until

ID, PRINT = b"i" * 16, b"print001"


class Connection:
    async def producer(self) -> None:
        """There is one."""


class Producer:
    observer: Any = None

    def submit(self, records: Records) -> None:
        """Take them, and say nothing."""


class Setting:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.posted: list[tuple[bytes, bytes, Receipt]] = []
        self.read_since: list[float] = []
        self.error: Exception | None = None
        monkeypatch.setattr(recovery, "read_receipts", self.read_receipts)
        monkeypatch.setattr(recovery, "SETTLE_SECONDS", 0.0)
        self.receipts, self.processes = Receipts(folder, 600), Processes(folder)
        producer = cast(PaymentProducer, Producer())
        self.deduplicator = Deduplicator(producer, self.receipts, self.processes, shared=True)
        connection, none = cast(ProducerConnection, Connection()), cast(Any, None)
        self.recovery = Recovery(
            self.deduplicator, self.receipts, self.processes, connection, none, none, folder / "lock", shared=True
        )

    async def read_receipts(
        self, _kafka: object, _reader: object, since: float
    ) -> AsyncIterator[list[tuple[bytes, bytes, Receipt]]]:
        self.read_since.append(since)
        if self.error:
            raise self.error
        yield self.posted

    async def run_until_ready(self) -> None:
        running = asyncio.create_task(self.recovery.run())

        async def is_done() -> bool:
            return self.deduplicator.state.ready and not self.deduplicator.state.uncertain.is_set()

        await until(is_done)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Setting]:
    opened = Setting(tmp_path, monkeypatch)
    yield opened
    await opened.deduplicator.close()


async def test_at_the_first_start_all_receipts_are_read(setting: Setting) -> None:
    setting.posted = [(ID, PRINT, Receipt(1, 2, milliseconds()))]
    await setting.run_until_ready()
    assert setting.read_since[0] == pytest.approx(time.time() - 600 - MARGIN_SECONDS, abs=5)
    [entry] = setting.receipts.find([ID])
    assert entry is not None
    assert entry.receipt.offset == 2


async def test_beside_a_process_that_knows_all_only_a_dead_ones_rest_is_read(setting: Setting, tmp_path: Path) -> None:
    current, dead = Processes(tmp_path), Processes(tmp_path)
    current.mark(time.time())
    marked = time.time() - 30
    dead.mark(marked)
    dead.leave()
    await setting.run_until_ready()
    assert setting.read_since == [pytest.approx(marked - MARGIN_SECONDS, abs=0.1)]
    assert setting.processes.is_forgotten(dead.token)
    current.leave()


@pytest.mark.parametrize("there", [True, False])
async def test_doubtful_payments_get_the_receipt_that_stands_on_the_topics_or_are_free_again(
    setting: Setting, *, there: bool
) -> None:
    await setting.run_until_ready()
    delivery = Delivery(1, [], 60.0)
    record = Records(delivery, "t", milliseconds(), [0], [b"k"], [b"v"], [ID], [PRINT])
    setting.deduplicator.submit(record)
    setting.deduplicator.doubt(record, NeverAnswered("?"))
    retry = Delivery(1, [], 60.0)
    setting.deduplicator.submit(Records(retry, "t", milliseconds(), [0], [b"k"], [b"v"], [ID], [PRINT]))
    setting.posted = [(ID, PRINT, Receipt(1, 2, 3))] if there else []
    await setting.run_until_ready()
    [outcome] = retry.outcomes
    assert isinstance(outcome, Receipt if there else NotAccepted)
    assert setting.deduplicator.doubts.all() == []


async def test_what_fails_is_tried_again_and_the_reason_told(setting: Setting) -> None:
    setting.error = OSError("away")
    running = asyncio.create_task(setting.recovery.run())

    async def has_failed() -> bool:
        return setting.recovery.reason == "away"

    await until(has_failed)
    assert not setting.deduplicator.state.ready
    assert setting.deduplicator.state.usable
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

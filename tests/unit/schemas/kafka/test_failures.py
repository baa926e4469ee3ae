"""The reason for which work begins anew is the error's own where it was to be expected, and a defect is in the log."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs

from schemas.errors import RegistryUnavailable
from schemas.kafka.failures import reason_to_retry


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RegistryUnavailable("no answer"), "no answer"),
        (TimeoutError(), "TimeoutError"),
        (OSError("the disk is full"), "the disk is full"),
        (KafkaConnectionError("away"), "KafkaConnectionError: away"),
        (asyncio.CancelledError(), "a client of Kafka ended"),
    ],
)
def test_an_error_that_passes_is_its_own_reason(error: BaseException, reason: str) -> None:
    async def ask() -> str:
        return reason_to_retry(error)

    with capture_logs() as logs:
        assert asyncio.run(ask()) == reason
    assert logs == []


def test_a_further_error_passes_where_it_is_named() -> None:
    with capture_logs() as logs:
        assert reason_to_retry(LookupError("made anew"), LookupError) == "made anew"
    assert logs == []


def test_a_defect_is_in_the_log() -> None:
    error = ZeroDivisionError("division by zero")
    with capture_logs() as logs:
        assert "log" in reason_to_retry(error)
    [entry] = logs
    assert entry["exc_info"] is error


async def test_the_task_s_own_cancellation_ends_the_work() -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            reason_to_retry(error)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()

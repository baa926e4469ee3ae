"""Errors after which work on Kafka begins anew, in words for a person."""

import asyncio

import structlog
from aiokafka.errors import KafkaError

from schemas.errors import UndertenError, reason_of
from schemas.event_loop import being_cancelled

PASSING = (KafkaError, UndertenError, OSError)
"""Errors that may be over when it is tried again: Kafka, or another server, is away."""

log = structlog.get_logger(__name__)


def reason_to_retry(error: BaseException, *passing: type[Exception]) -> str:
    """The reason for which work stops that begins anew; `passing` are further errors than PASSING to be expected.

    Any other error is a defect, and in the log with its traceback. Raises the error where it is the cancellation of the
    current task, which ends the work: aiokafka (0.14) lets CancelledError out for tasks of its own, too.
    """
    if isinstance(error, asyncio.CancelledError):
        if being_cancelled():
            raise error
        return "a client of Kafka ended"
    if isinstance(error, (*PASSING, *passing)):
        return reason_of(error)
    log.error("an error that nobody expects", exc_info=error)
    return "an error that nobody expects; the log has it"

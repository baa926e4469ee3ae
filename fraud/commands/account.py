"""`python -m fraud export` and `erase`: what the topics hold of one account, and the end of its cases."""

import asyncio
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from cyclopts import Parameter

from fraud.account import Account, Cases, json_of
from schemas.errors import BrokerError, SettingsError
from schemas.kafka.reading import read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_LATE, PAYMENT_REJECTED, REQUEST_ID, REVIEW_DECISIONS, REVIEW_QUEUE
from schemas.logs import LogSettings, configure_logs

NOT_ERASED = """\
What remains, and until when (docs/operations.md, "Erasing an account", has the commands):
  the payments on the raw topics, payments, payments_by_payee: deleted with their segment, 7 days after its last record
  payment_late, payment_rejected: the same, after 30 days
  fraud_state: the account's windows, until each closes; then until the topic is compacted
  review_queue: the old versions, until the topic is compacted; cases of others that list a payment: for good
  review_decisions: for good. What led to a report to FinCEN must be kept for five years (31 CFR 1010.430, 1020.320)
  ksqlDB's topics and state, where there is one; copies of this output; backups
"""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class AccountSettings:
    """Address of the topics."""

    kafka: KafkaSettings = field(default_factory=KafkaSettings)


def export(settings: AccountSettings | None = None, *, payor: int | None = None, payee: str | None = None) -> int:
    """Write every payment, case and decision of an account to standard output, as NDJSON; changes nothing.

    A line is {"kind", "topic", "partition", "offset", "timestamp", "value"}, and "request_id" where the record has one.
    Of a case its last version is there. Cases of others that list a payment of the account, as far as that is still on
    the topics, are "case_of_others". Of payment_rejected, what has the payor's key is there, in base64.

    Parameters
    ----------
    payor
        The payor's account number.
    payee
        The payee as BANK/NUMBER.
    """
    account = _account(payor, payee)
    configure_logs(LogSettings(log_level="critical"))
    asyncio.run(_reached(_export((settings or AccountSettings()).kafka, account)))
    return 0


def erase(
    settings: AccountSettings | None = None, *, payor: int | None = None, payee: str | None = None, yes: bool = False
) -> int:
    """Delete an account's cases from the review queue. Exit status 1 without --yes: it says what it would delete.

    Whether they may be deleted is for whoever runs this to know: what led to a report must be kept for five years.

    Parameters
    ----------
    payor
        The payor's account number.
    payee
        The payee as BANK/NUMBER.
    yes
        Really do it.
    """
    account = _account(payor, payee)
    configure_logs(LogSettings(log_level="critical"))
    asyncio.run(_reached(_erase((settings or AccountSettings()).kafka, account, really=yes)))
    return 0 if yes else 1


def _account(payor: int | None, payee: str | None) -> Account:
    """Raises SettingsError unless there is exactly one."""
    if payor is not None and payee is None:
        return Account.of_payor(payor)
    if payee is not None and payor is None:
        bank, _, number = payee.rpartition("/")
        if bank and number.isdecimal():
            return Account.of_payee(bank, int(number))
    raise SettingsError("name one account: --payor NUMBER, or --payee BANK/NUMBER")


async def _reached(work: Coroutine[None, None, None]) -> None:
    try:
        await work
    except KafkaError as error:
        raise BrokerError(f"Kafka cannot be read: {error}") from error


async def _export(kafka: KafkaSettings, account: Account) -> None:
    cases = await _cases(kafka, account, await _export_payments(kafka, account))
    for kind, records in (("case", cases.own), ("case_of_others", cases.listing)):
        for record in records.values():
            _write(kind, record, json_of(record))
    async for record in _records(kafka, REVIEW_DECISIONS):
        decision = json_of(record)
        if decision and (record.key in cases or account.names(decision.get("group"))):
            _write("decision", record, decision)


async def _export_payments(kafka: KafkaSettings, account: Account) -> set[str]:
    """Write those that are there, that were late, that were rejected; the ids of the first two."""
    ids: set[str] = set()
    async for record in _records(kafka, account.topic):
        if record.key == account.key and (payment := json_of(record)):
            ids.add(str(payment.get("id")))
            _write("payment", record, payment)
    async for record in _records(kafka, PAYMENT_LATE):
        late = json_of(record)
        if late and account.names(late.get("payment")):
            ids.add(str(late["payment"].get("id")))
            _write("late", record, late)
    async for record in _records(kafka, PAYMENT_REJECTED):
        if record.key is not None and record.key == account.key:
            _write("rejected", record, b64encode(record.value or b"").decode())
    return ids


async def _erase(kafka: KafkaSettings, account: Account, *, really: bool) -> None:
    account_cases = await _cases(kafka, account, ())
    cases, now = account_cases.own, time.time() * 1000
    open_ends = [end for end in account_cases.open_until.values() if end > now]
    if really and cases:
        async with AIOKafkaProducer(**kafka.client_options(), acks="all", enable_idempotence=True) as producer:
            sent = [
                await producer.send(REVIEW_QUEUE, None, key=key, partition=record.partition)
                for key, record in cases.items()
            ]
            await asyncio.gather(*sent)
    print(f"{len(cases)} cases {'deleted' if really else 'would be deleted; --yes deletes them'}")
    if open_ends:
        print(f"{len(open_ends)} of them are of windows that are open: another payment writes them again. Repeat this")
        last = datetime.fromtimestamp(max(open_ends) / 1000, UTC)
        print(
            f"once the last has closed: at {last:%Y-%m-%d %H:%M} UTC, and the rule's grace (an hour or more) after that"
        )
    print(NOT_ERASED, end="")


async def _cases(kafka: KafkaSettings, account: Account, payment_ids: Iterable[str]) -> Cases:
    cases = Cases(account, payment_ids)
    async for record in _records(kafka, REVIEW_QUEUE):
        cases.take(record)
    return cases


async def _records(kafka: KafkaSettings, topic: str) -> AsyncIterator[ConsumerRecord]:
    async for batch in read_to_end(kafka, [topic]):
        for record in batch:
            yield record


def _write(kind: str, record: ConsumerRecord, value: object) -> None:
    request_id = dict(record.headers).get(REQUEST_ID)
    line = {
        "kind": kind,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        **({"request_id": request_id.decode(errors="replace")} if request_id else {}),
        "value": value,
    }
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")

"""`python -m fraud export` and `erase`: what the topics hold of one account, and the end of its cases."""

import asyncio
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from cyclopts import Parameter

from fraud.account import Account, AccountCases, json_of
from fraud.redrive import place_of_mark
from schemas.errors import BrokerError, PaymentError, SettingsError
from schemas.kafka.reading import read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import (
    PAYMENT_LATE,
    PAYMENT_REJECTED,
    PAYMENT_REPEATED,
    RAW_TOPICS,
    REQUEST_ID,
    REVIEW_DECISIONS,
    REVIEW_QUEUE,
)
from schemas.logs import silence_logs
from schemas.payment import FIELDS, INT32_MAX
from schemas.payment_reader import PaymentReader
from schemas.registry import Registry, RegistrySettings

NOT_ERASED = """\
What remains, and until when (docs/operations.md, "Erasing an account", has the commands):
  the payments on the raw topics, payments, payments_by_payee: deleted with their segment, 7 days after its last record
  payment_late, payment_repeated, payment_rejected: the same, after 30 days
  fraud_state: the account's payments, until the last window that holds them closes; then until the topic is compacted
  review_queue: the old versions, until the topic is compacted; cases of others that list a payment: for good
  review_decisions: for good. What led to a report to FinCEN must be kept for five years (31 CFR 1010.430, 1020.320)
  review_views: who looked at what of it, for five years
  ksqlDB's topics and state, where there is one; copies of this output; backups
"""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class AccountSettings:
    """Addresses of the topics and of the schemas that their payments are read by."""

    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    registry: RegistrySettings = field(default_factory=RegistrySettings)


def export(settings: AccountSettings | None = None, *, payor: int | None = None, payee: str | None = None) -> int:
    """Write every payment, case and decision of an account to standard output, as NDJSON; changes nothing.

    A line is {"kind", "topic", "partition", "offset", "timestamp", "value"}, and "request_id" where the record has one.
    Payments are those of the raw topics; those that were too late for a window, or sent again, are there once more as
    "late" and "repeated". Of a case its last version is there. Cases of others that list a payment of the account, as
    far as that is still on the topics, are "case_of_others". Of payment_rejected, what has the payor's key is there, in
    base64.

    Parameters
    ----------
    payor
        The payor's account number.
    payee
        The payee as BANK/NUMBER.
    """
    account = _account(payor, payee)
    silence_logs()
    asyncio.run(_read_kafka(_export(settings or AccountSettings(), account)))
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
    silence_logs()
    asyncio.run(_read_kafka(_erase((settings or AccountSettings()).kafka, account, really=yes)))
    return 0 if yes else 1


def _account(payor: int | None, payee: str | None) -> Account:
    """Raises SettingsError unless there is exactly one."""
    if payor is not None and payee is None and 0 <= payor <= INT32_MAX:
        return Account.of_payor(payor)
    if payee is not None and payor is None:
        bank, _, number = payee.rpartition("/")
        if bank and number.isdecimal() and int(number) <= INT32_MAX:
            return Account.of_payee(bank, int(number))
    raise SettingsError(f"name one account: --payor NUMBER, or --payee BANK/NUMBER, from 0 to {INT32_MAX}")


async def _read_kafka(work: Coroutine[None, None, None]) -> None:
    try:
        await work
    except KafkaError as error:
        raise BrokerError(f"Kafka cannot be read: {error}") from error


async def _export(settings: AccountSettings, account: Account) -> None:
    kafka = settings.kafka
    cases = await _cases(kafka, account, await _export_payments(settings, account))
    for kind, records in (("case", cases.own), ("case_of_others", cases.listing)):
        for record in records.values():
            _write(kind, record, json_of(record))
    async for record in _records(kafka, REVIEW_DECISIONS):
        decision = json_of(record)
        if decision and (record.key in cases or account.names(decision.get("group"))):
            _write("decision", record, decision)


async def _export_payments(settings: AccountSettings, account: Account) -> set[str]:
    """Write those that are there, that were late or came again, that were rejected; the ids of all but the last."""
    kafka = settings.kafka
    ids: set[str] = set()
    reader = PaymentReader(Registry(settings.registry))
    async for records in read_to_end(kafka, RAW_TOPICS):
        await reader.learn(records)
        for record in records:
            with suppress(PaymentError):  # what is none is on payment_rejected
                read = reader.read(record)
                payment = {name: getattr(read, name) for name in FIELDS}
                if account.names(payment):
                    ids.add(payment["id"])
                    _write("payment", record, payment)
    for kind, topic in (("late", PAYMENT_LATE), ("repeated", PAYMENT_REPEATED)):
        async for record in _records(kafka, topic):
            uncounted = json_of(record)
            if uncounted and account.names(uncounted.get("payment")):
                ids.add(str(uncounted["payment"].get("id")))
                _write(kind, record, uncounted)
    async for record in _records(kafka, PAYMENT_REJECTED):
        if record.key is not None and record.key == account.key and place_of_mark(record) is None:
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


async def _cases(kafka: KafkaSettings, account: Account, payment_ids: Iterable[str]) -> AccountCases:
    cases = AccountCases(account, payment_ids)
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

"""An account, and the records on the topics that are about it. Pure: records in, a verdict out.

A payment is an account's by its columns; a case by its group, or because it lists one of the account's payments; a
decision by its group or its case.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

import msgspec
from aiokafka.structs import ConsumerRecord

from fraud.bank_names import fold_bank
from fraud.detection.partition_keys import payee_key, payor_key
from schemas import wire_format
from schemas.case import CaseError, decode_case
from schemas.errors import DECODE_ERRORS

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Account(NamedTuple):
    """A payor, or a payee: an account number at a bank. `columns` are those of a rule's group."""

    columns: dict[str, int | str]
    key: bytes

    @classmethod
    def of_payor(cls, number: int) -> Self:
        """The account as payor."""
        return cls({"payor_account_no": number}, payor_key(number))

    @classmethod
    def of_payee(cls, bank: str, number: int) -> Self:
        """The account as payee."""
        columns: dict[str, int | str] = {"payee_bank": fold_bank(bank), "payee_account_no": number}
        return cls(columns, payee_key(bank, number))

    def names(self, fields: object) -> bool:
        """True if a group, or a payment, is this account's, whichever way its bank is spelled."""
        return isinstance(fields, dict) and all(_value(fields, name) == value for name, value in self.columns.items())


def _value(fields: Mapping[str, Any], name: str) -> object:
    value = fields.get(name)
    return fold_bank(value) if name == "payee_bank" and isinstance(value, str) else value


def json_of(record: ConsumerRecord) -> dict[str, Any] | None:
    """A record's JSON, with the wire format's header or without; None where it is none."""
    try:
        return _decode(wire_format.without_header(record.value or b""))
    except DECODE_ERRORS:
        return None


class AccountCases:
    """The last version of each case that is an account's; fed with `review_queue` in order."""

    def __init__(self, account: Account, payment_ids: Iterable[str]) -> None:
        self._account = account
        self._ids = frozenset(payment_ids)
        self.open_until: dict[bytes, int] = {}
        """By case id: when the windows of `own` end, in ms since the epoch."""
        self.own: dict[bytes, ConsumerRecord] = {}
        """By case id: cases of groups that the account is part of."""
        self.listing: dict[bytes, ConsumerRecord] = {}
        """By case id: cases of others, which list payments of the account."""

    def take(self, record: ConsumerRecord) -> None:
        """Take in a record; a null value takes the case away."""
        for records_by_key in (self.own, self.listing, self.open_until):
            records_by_key.pop(record.key, None)
        try:
            case = decode_case(record.value)
        except CaseError:
            return
        if self._account.names(msgspec.to_builtins(case.group)):
            self.own[record.key] = record
            self.open_until[record.key] = case.window_end
        elif any(payment.id in self._ids for payment in case.payments):
            self.listing[record.key] = record

    def __contains__(self, case_id: bytes | None) -> bool:
        """True if this is the id of one of them."""
        return case_id in self.own or case_id in self.listing

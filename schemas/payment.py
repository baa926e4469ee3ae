"""The payment: six fields, what each may hold, and how a violation is named.

`Payment` is the type inside. What comes from outside is decoded as one of its kinds that check: `ForeignPayment` on the
raw topics, which ignores fields that it does not know, as schema evolution wants it; `PostedPayment` at the HTTP edge,
which does not (a misspelt field must not vanish silently). What was checked once is not checked again.
"""

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from schemas.errors import PaymentError, UndecodableError

INT32_MAX = 2**31 - 1
AMOUNT_MAX = 1e12

LATEST = 253_402_300_799_999
"""The end of the year 9999 in ms. A later time is one in µs, and would make all payments after it late."""

AccountNo = Annotated[int, Meta(ge=0, le=INT32_MAX)]
Time = Annotated[int, Meta(ge=0, le=LATEST)]
"""ms since the epoch."""

_CENT = Decimal("0.01")
_is_uuid = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_PATH = re.compile(r" - at `\$\.(\w+)[^`]*`$")
_BYTE = re.compile(r"\(byte (\d+)\)$")
_VALUE_OF = re.compile(rb'"(\w+)"\s*:\s*[-+\w.]*\Z')
_NAMED = re.compile(r"field `(\w+)`")


class Payment(msgspec.Struct, frozen=True, gc=False):
    """A payment instruction.

    `payment_amount` is in dollars, a double with at most two decimals: exact in cents, see `cents`. A payee is
    (`payee_bank`, `payee_account_no`): an account number means something only at its bank.

    Decoding and converting check types and bounds, the kinds below the rest; both raise what `payment_error` turns into
    a PaymentError.
    """

    id: str
    payee_bank: Annotated[str, Meta(min_length=1, max_length=140)]
    payee_account_no: AccountNo
    payment_amount: Annotated[float, Meta(gt=0, le=AMOUNT_MAX)]
    payment_method: Annotated[str, Meta(min_length=1, max_length=35)]
    payor_account_no: AccountNo


class ForeignPayment(Payment, frozen=True, gc=False):
    """A payment that somebody else wrote: every limit is checked."""

    def __post_init__(self) -> None:
        """Raises ValueError, which msgspec turns into its ValidationError. Meta could say this, at thrice the time."""
        if _is_uuid(self.id) is None:
            raise ValueError("must be a UUID such as 6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b - at `$.id`")
        if self.payee_bank.isspace():
            raise ValueError("must not be blank - at `$.payee_bank`")
        if self.payment_method.isspace():
            raise ValueError("must not be blank - at `$.payment_method`")
        if round(self.payment_amount, 2) != self.payment_amount:
            raise ValueError("at most two decimals - at `$.payment_amount`")


class PostedPayment(ForeignPayment, frozen=True, gc=False, forbid_unknown_fields=True):
    """A payment as the HTTP edge takes it: exactly the six fields."""


class NormalisedPayment(Payment, frozen=True, gc=False):
    """A payment on `payments` and `payments_by_payee`: with the topic that it came from."""

    source: str


FIELDS: tuple[str, ...] = Payment.__struct_fields__

encode_json = msgspec.json.Encoder().encode


def cents(amount: float) -> int:
    """Exact cents of an amount in dollars: the exact binary value, rounded half up.

    That is what ksqlDB's CAST(amount AS DECIMAL(18,2)) does; sums of it do not depend on order.
    """
    return int(Decimal(amount).quantize(_CENT, ROUND_HALF_UP).scaleb(2))


def dollars(amount_in_cents: int) -> str:
    """Cents as decimal text with two places: 1200003 is "12000.03"."""
    return f"{amount_in_cents // 100}.{amount_in_cents % 100:02d}"


T = TypeVar("T", bound=Payment)


def json_reader(kind: type[T]) -> Callable[[bytes], T]:
    """A decoder of such payments from JSON; it raises PaymentError (of a field), UndecodableError (no JSON)."""
    decode = msgspec.json.Decoder(kind).decode

    def read(text: bytes) -> T:
        try:
            return decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise payment_error(error, text) from None

    return read


def to_payment(fields: dict[str, Any], kind: type[T]) -> T:
    """A payment from decoded fields; raises PaymentError that names the field at fault."""
    try:
        return msgspec.convert(fields, kind)
    except (msgspec.ValidationError, OverflowError) as error:
        raise payment_error(error) from None


def payment_error(error: Exception, text: bytes = b"") -> PaymentError:
    """A PaymentError that names the field, from what msgspec says of a bad payment.

    `text` is the JSON that was decoded: where it is malformed just after `"field":`, as with NaN, that is the field.
    """
    message = str(error)
    if isinstance(error, RecursionError):
        return UndecodableError("nested too deeply")
    if not isinstance(error, msgspec.ValidationError):
        broken_at = _BYTE.search(message)
        before = _VALUE_OF.search(text[: int(broken_at.group(1))]) if broken_at else None
        return UndecodableError(message, before.group(1).decode() if before else None)
    at = _PATH.search(message) or _NAMED.search(message)
    return PaymentError(_PATH.sub("", message), at.group(1) if at else None)

"""The payment: six fields, what each may hold, and how a violation is named.

`Payment` is the type inside. What comes from outside is decoded as one of its kinds that check: `ForeignPayment` on the
raw topics, which ignores fields that it does not know, as schema evolution wants it; `PostedPayment` at the HTTP edge,
which does not (a misspelt field must not vanish silently). What was checked once is not checked again.
"""

import json
import re
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, TypeVar, get_type_hints
from unicodedata import category

import msgspec
from msgspec import Meta

from schemas.errors import DECODE_ERRORS, PaymentError, UndecodableError
from schemas.wire_format import BYTE_ORDER_MARKS

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
AMOUNT_MAX = 1e12

LATEST = 253_402_300_799_999
"""The end of the year 9999 in ms. A later time is one in µs, and would make all payments after it late."""

AccountNo = Annotated[int, Meta(ge=0, le=INT32_MAX)]
Time = Annotated[int, Meta(ge=0, le=LATEST)]
"""ms since the epoch."""

_CENT = Decimal("0.01")
_MAX_NEAREST_CENTS = 10**14
_UTF_32_MARK = b"\0\0\xfe\xff"
"""That of big endian UTF-32; on a topic these bytes begin a schema's id."""
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's general categories: control, format, surrogate, private, unassigned, line and paragraph separators."""
_is_uuid = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_PATH = re.compile(r" - at `\$\.(\w+)[^`]*`$")
_BYTE = re.compile(r"\(byte (\d+)\)$")
_VALUE_OF = re.compile(rb'"(\w+)"\s*:\s*[-+\w.]*\Z')
_NAMED = re.compile(r"field `(\w+)`")
AMOUNT_IN_CENTS = re.compile(rb'"payment_amount"\s*:\s*\d+(?:\.\d{1,2})?\s*[,}]')
"""An amount as most clients write it in JSON: with two decimals at most, and no exponent."""
_ACCOUNTS = ("payee_account_no", "payor_account_no")


class Payment(msgspec.Struct, frozen=True, gc=False):
    """A payment instruction.

    `payment_amount` is in dollars, a double with at most two decimals: exact in cents, see `exact_cents`. A payee is
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
    """A payment as the HTTP edge takes it: exactly the six fields, and nothing in their texts that nobody sees."""

    def __post_init__(self) -> None:
        """Raises ValueError, as the class above does."""
        # Not `super()`: without arguments it does not work in a class with slots, and it takes thrice the time.
        ForeignPayment.__post_init__(self)
        if not self.payee_bank.isprintable() and (char := unseen(self.payee_bank)):
            raise ValueError(f"holds a character that nobody sees, U+{ord(char):04X} - at `$.payee_bank`")
        if not self.payment_method.isprintable() and (char := unseen(self.payment_method)):
            raise ValueError(f"holds a character that nobody sees, U+{ord(char):04X} - at `$.payment_method`")


def unseen(text: str) -> str | None:
    """The first character that is a control, a format or no character at all; blanks of any width may stand."""
    return next((char for char in text if category(char) in UNSEEN), None)


class NormalisedPayment(Payment, frozen=True, gc=False):
    """A payment on `payments` and `payments_by_payee`: with the topic, partition and offset that it came from.

    Records of earlier versions name the topic alone: partition and offset are -1 then.
    """

    source: str
    partition: Annotated[int, Meta(ge=-1, le=INT32_MAX)] = -1
    offset: Annotated[int, Meta(ge=-1, le=INT64_MAX)] = -1

    @classmethod
    def of(cls, payment: Payment, source: str, partition: int, offset: int) -> "NormalisedPayment":
        """Copy a payment, with where it came from."""
        return cls(
            payment.id,
            payment.payee_bank,
            payment.payee_account_no,
            payment.payment_amount,
            payment.payment_method,
            payment.payor_account_no,
            source,
            partition,
            offset,
        )


FIELDS: tuple[str, ...] = Payment.__struct_fields__

_encode_lines = msgspec.json.Encoder().encode_lines
encode_json = msgspec.json.Encoder().encode


def json_lines(payments: Sequence["Payment"]) -> list[bytes]:
    """Many payments, each as `encode_json` has it."""
    return _encode_lines(payments).splitlines()


def exact_cents(amount: float) -> int:
    """Exact cents of an amount in dollars: the exact binary value, rounded half up.

    That is what ksqlDB's CAST(amount AS DECIMAL(18,2)) does; sums of it do not depend on order.
    """
    # The nearest double to n/100 is less than half a cent from it below 10¹² dollars, so it can round to nothing but n:
    # for amounts with at most two decimals that is said several times faster than by a decimal.
    nearest = round(amount * 100)
    if nearest / 100 == amount and nearest <= _MAX_NEAREST_CENTS:
        return nearest
    return int(Decimal(amount).quantize(_CENT, ROUND_HALF_UP).scaleb(2))


def dollars(amount_in_cents: int) -> str:
    """Cents as decimal text with two places: 1200003 is "12000.03"."""
    return f"{amount_in_cents // 100}.{amount_in_cents % 100:02d}"


def cents_of(dollar_text: str) -> int:
    """Cents of decimal text with two places, as `dollars` writes it."""
    return int(dollar_text.replace(".", ""))


T = TypeVar("T", bound=Payment)


def _exact(number: str) -> Decimal | str:
    """A number in JSON that is no integer; one whose exponent is beyond any decimal's stays text, which none takes."""
    try:
        return Decimal(number)
    except ArithmeticError:
        return number


def json_reader(kind: type[T]) -> Callable[[bytes], T]:
    """A decoder of such payments from JSON; it raises PaymentError (of a field), UndecodableError (no JSON)."""
    decode = msgspec.json.Decoder(kind).decode
    quotes, find_amount = count_quotes(kind), AMOUNT_IN_CENTS.search

    def read(text: bytes) -> T:
        try:
            payment = decode(text)
        except msgspec.ValidationError as error:
            return _reread(text, kind, error)
        except DECODE_ERRORS as error:
            raise payment_error(error, text) from None
        # As many quotes as the fields need, each once: no name stands there twice. Then the amount's text is found.
        if text.count(b'"') != quotes or find_amount(text) is None:
            _check_text(text)
        return payment

    return read


def count_quotes(kind: type[Payment]) -> int:
    """Count the quotes that a payment of this kind has as JSON, each field once and nothing escaped."""
    strings = sum(hint is str for hint in get_type_hints(kind).values())
    return 2 * (len(kind.__struct_fields__) + strings)


def _check_text(text: bytes) -> None:
    """Refuse what a decoder's result does not show any more: a name that stands there twice, decimals of an amount."""
    try:
        fields = members(text)
    except (ValueError, RecursionError) as error:
        raise UndecodableError(f"not read exactly: {error}") from None
    _check_decimals(fields.get("payment_amount"))


def _reread(text: bytes, kind: type[T], error: msgspec.ValidationError) -> T:
    """The payment where only the way of writing was at fault, as in 200.0 for an integer; raises PaymentError."""
    try:
        fields = members(text)
    except (ValueError, RecursionError):
        raise payment_error(error) from None
    if not any(_is_whole(fields.get(name)) for name in _ACCOUNTS):
        raise payment_error(error) from None
    return to_payment(fields, kind)


class _Pairs(list[tuple[str, Any]]):
    """Members of a JSON object, in their order."""


def members(text: bytes) -> dict[str, Any]:
    """The members of a JSON object, numbers exactly; raises PaymentError where one stands there twice, ValueError."""
    pairs = json.loads(text.decode(), object_pairs_hook=_Pairs, parse_float=_exact)
    fields: dict[str, Any] = {}
    if not isinstance(pairs, _Pairs):
        return fields
    for name, value in pairs:
        if name in fields:
            raise PaymentError("stands there twice", name)
        fields[name] = value
    return fields


def to_payment(fields: dict[str, Any], kind: type[T]) -> T:
    """A payment from decoded fields; raises PaymentError that names the field at fault.

    Whole numbers may have been written as decimals or floats, and amounts as decimals: both are taken exactly.
    """
    amount = fields.get("payment_amount")
    if type(amount) is Decimal:
        _check_decimals(amount)
    try:
        return msgspec.convert(fields, kind)
    except (msgspec.ValidationError, OverflowError) as error:
        if any(_is_whole(fields.get(name)) for name in _ACCOUNTS):
            return to_payment(_with_whole_numbers(fields), kind)
        raise payment_error(error) from None


def _check_decimals(amount: object) -> None:
    """Raises PaymentError for an amount of more than two decimals, which a double may round away."""
    # What is out of bounds is refused for that; to round it would take more digits than decimals have here.
    if isinstance(amount, Decimal) and -AMOUNT_MAX <= amount <= AMOUNT_MAX and amount != round(amount, 2):
        raise PaymentError("at most two decimals", "payment_amount")


def _is_whole(value: Any) -> bool:
    """True for a number of another type than int that int32 may hold."""
    return isinstance(value, float | Decimal) and -INT32_MAX <= value <= INT32_MAX and value == int(value)


def _with_whole_numbers(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: int(value) if name in _ACCOUNTS and _is_whole(value) else value for name, value in fields.items()}


def payment_error(error: Exception, text: bytes = b"") -> PaymentError:
    """A PaymentError that names the field, from what msgspec says of a bad payment.

    `text` is the JSON that was decoded: where it is malformed just after `"field":`, as with NaN, that is the field.
    """
    message = str(error)
    if isinstance(error, RecursionError):
        return UndecodableError("nested too deeply")
    if text.startswith((*BYTE_ORDER_MARKS, _UTF_32_MARK)):
        return UndecodableError("begins with a byte order mark (BOM), which JSON may not have (RFC 8259, section 8.1)")
    if not isinstance(error, msgspec.ValidationError):
        broken_at = _BYTE.search(message)
        before = _VALUE_OF.search(text[: int(broken_at.group(1))]) if broken_at else None
        return UndecodableError(message, before.group(1).decode() if before else None)
    at = _PATH.search(message) or _NAMED.search(message)
    return PaymentError(_PATH.sub("", message), at.group(1) if at else None)

"""Ordinary payments in JSON, read together: by one pass each of a library or of Python's own C, at half the time.

Ordinary are those that are written as most clients write them, and that any reader of payments takes. Where one may not
be, none is read here, and whoever reads them one by one says what is wrong with it.
"""

from collections.abc import Sequence

import msgspec

from schemas.errors import DECODE_ERRORS
from schemas.payment import AMOUNT_IN_CENTS, Payment, count_quotes

ID_LENGTH = 36
DASHES = (8, 13, 18, 23)
HEX_DIGITS = 32


class _Ordinary(Payment, frozen=True, gc=False, forbid_unknown_fields=True):
    """A payment whose texts are yet to be looked at."""


_decode = msgspec.json.Decoder(_Ordinary).decode_lines
_quotes = count_quotes(_Ordinary)
_find_amounts = AMOUNT_IN_CENTS.findall


def read_together(texts: Sequence[bytes]) -> Sequence[Payment] | None:
    """Read payments that are all ordinary, a text each; None if one may not be."""
    if {text[:1] for text in texts} != {b"{"}:
        return None
    lines, count = b"\n".join(texts), len(texts)
    try:
        payments = _decode(lines)
    except DECODE_ERRORS:
        return None
    # A payment has no object in it, so one begins with each text: if there are no more, each is a text of its own.
    if len(payments) != count:
        return None
    # As many quotes as the fields need: no name stands there twice, and each amount's text is found.
    if lines.count(b'"') != count * _quotes or len(_find_amounts(lines)) != count:
        return None
    return payments if _are_uuids([payment.id for payment in payments]) and _are_legible(payments) else None


def _are_uuids(ids: Sequence[str]) -> bool:
    column = "".join(ids)
    if {ID_LENGTH} != set(map(len, ids)) or any(column[at::ID_LENGTH].strip("-") for at in DASHES):
        return False
    try:
        return len(bytes.fromhex(column.replace("-", ""))) * 2 == len(ids) * HEX_DIGITS
    except ValueError:
        return False


def _are_legible(payments: Sequence[Payment]) -> bool:
    """Tell whether the payments' texts are neither blank nor hold what nobody sees."""
    texts = {payment.payee_bank for payment in payments} | {payment.payment_method for payment in payments}
    return all(map(str.isprintable, texts)) and not any(map(str.isspace, texts))

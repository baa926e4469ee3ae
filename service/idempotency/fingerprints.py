"""Identity of payments: two are the same by their id, and by a fingerprint of everything else."""

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from schemas.payment import Payment

ID_BYTES = 16

_encode = msgspec.msgpack.Encoder().encode


def ids_bytes(payment_ids: Iterable[str]) -> list[bytes]:
    """Convert UUIDs to their sixteen bytes each."""
    column = bytes.fromhex("".join(payment_ids).replace("-", ""))
    return [column[start : start + ID_BYTES] for start in range(0, len(column), ID_BYTES)]


def id_bytes(payment_id: str) -> bytes:
    """Convert a UUID to its sixteen bytes: in whatever case it is written, it is the same id (RFC 9562, section 4)."""
    return bytes.fromhex(payment_id.replace("-", ""))


def fingerprints(topic: str, payments: Iterable[Payment]) -> list[bytes]:
    """Hash the topic and the five fields beside the id of each payment; the same in every process and format."""
    encode = _encode
    return [
        blake2b(
            encode(
                (
                    topic,
                    payment.payee_bank,
                    payment.payee_account_no,
                    payment.payment_amount,
                    payment.payment_method,
                    payment.payor_account_no,
                )
            ),
            digest_size=8,
        ).digest()
        for payment in payments
    ]


def fingerprint(topic: str, payment: Payment) -> bytes:
    """Hash a payment as `fingerprints` does."""
    return fingerprints(topic, (payment,))[0]

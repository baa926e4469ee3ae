"""Identity of payments: two are the same by their id, and by a fingerprint of everything else."""

from hashlib import blake2b

import msgspec

from schemas.payment import Payment

_encode = msgspec.msgpack.Encoder().encode


def id_bytes(payment_id: str) -> bytes:
    """Convert a UUID to its sixteen bytes: in whatever case it is written, it is the same id (RFC 9562, section 4)."""
    return bytes.fromhex(payment_id.replace("-", ""))


def fingerprint(topic: str, payment: Payment) -> bytes:
    """Hash the topic and the five fields beside the id; the same in every process, and for every format."""
    content = (
        topic,
        payment.payee_bank,
        payment.payee_account_no,
        payment.payment_amount,
        payment.payment_method,
        payment.payor_account_no,
    )
    return blake2b(_encode(content), digest_size=8).digest()

"""Identity of payments: two are the same by their id, and by a fingerprint of everything else."""

from collections.abc import Iterable
from functools import cache
from hashlib import blake2b
from itertools import chain
from struct import iter_unpack

from schemas.payment import Payment, encode_json

ID_BYTES = 16

FINGERPRINT_BYTES = 8

_AFTER_ID = len('{"id":"6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b","payee_bank":"')


def ids_bytes(payment_ids: Iterable[str]) -> list[bytes]:
    """Convert UUIDs to their sixteen bytes each."""
    return split_ids(bytes.fromhex("".join(payment_ids).replace("-", "")))


def split_ids(column: bytes) -> list[bytes]:
    """Split ids that follow each other."""
    return list(chain.from_iterable(iter_unpack(f"{ID_BYTES}s", column)))


def id_bytes(payment_id: str) -> bytes:
    """Convert a UUID to its sixteen bytes: in whatever case it is written, it is the same id (RFC 9562, section 4)."""
    return bytes.fromhex(payment_id.replace("-", ""))


def fingerprints(topic: str, texts: Iterable[bytes]) -> list[bytes]:
    """Hash the topic and what each payment's JSON has beside the id; the same in every process and format."""
    copy = _hasher(topic).copy
    prints = []
    for text in texts:
        hasher = copy()
        hasher.update(text[_AFTER_ID:])
        prints.append(hasher.digest())
    return prints


@cache
def _hasher(topic: str) -> blake2b:
    """Make a hasher for payments of a topic, which takes no room in a block: most payments fit into one."""
    return blake2b(digest_size=FINGERPRINT_BYTES, person=blake2b(topic.encode(), digest_size=16).digest())


def fingerprint(topic: str, payment: Payment) -> bytes:
    """Hash a payment as `fingerprints` does."""
    return fingerprints(topic, (encode_json(payment),))[0]

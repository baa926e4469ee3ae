"""Traffic of the soak: ordinary payments, pairs that split sums, and a few pairs that pay again and again."""

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from schemas.kafka.topics import RAW_TOPICS
from schemas.payment import Payment

SPLIT = 0.03
"""Share of payments that are a third of a sum just above the line, each pair of accounts used once."""
BUSY = 0.1
"""Share of payments among few pairs, whose windows grow and grow."""
BATCHES = 0.4
"""Share of payments that go in batches."""
BUSY_PAIRS = 200
MAX_BATCH = 25
SPLIT_ACCOUNTS_FROM = 1_000_000


@dataclass(frozen=True)
class Request:
    """Payments for one POST."""

    topic: str
    payments: tuple[Payment, ...]
    batch: bool


def requests(seed: int) -> Iterator[Request]:
    """Without end; the same seed makes the same ones."""
    chance = random.Random(seed)
    payments = _payments(chance)
    while True:
        topic = chance.choice(RAW_TOPICS)
        # One request in so many is a batch that their payments make up the share.
        batch = chance.random() < BATCHES / (BATCHES + (1 - BATCHES) * MAX_BATCH / 2)
        size = chance.randint(1, MAX_BATCH) if batch else 1
        yield Request(topic, tuple(next(payments) for _ in range(size)), batch)


def _payments(chance: random.Random) -> Iterator[Payment]:
    parts: list[tuple[int, str, int]] = []
    splits = 0
    while True:
        payment_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        kind = chance.random()
        bank = f"Bank {chance.randrange(5)}"
        if kind < SPLIT:
            if len(parts) < 60:  # so that the three parts come with others between them
                pair = (SPLIT_ACCOUNTS_FROM + splits, bank, chance.randrange(1000))
                parts += [pair] * 3
                splits += 1
            payor, bank, payee = parts.pop(chance.randrange(len(parts)))
            amount = 4000.01
        elif kind < SPLIT + BUSY:
            pair_number = chance.randrange(BUSY_PAIRS)
            payor, bank, payee = pair_number, f"Bank {pair_number % 5}", pair_number
            amount = chance.choice([9999.99, 10_000.00, round(chance.uniform(0.01, 500), 2)])
        else:
            payor, payee = chance.randrange(10_000, 500_000), chance.randrange(100_000)
            amount = round(chance.uniform(1, 900), 2)
        yield Payment(payment_id, bank, payee, amount, chance.choice(["ACH", "Wire", "Check"]), payor)

"""Sample payments, for whoever opens a payment address in a browser. Few parties, so that some of them add up."""

import random
import uuid

from schemas.payment import Payment

BANKS = ("First Harbor Bank", "Prairie Mutual", "Union Savings of Duluth")
METHODS = ("ACH", "Wire", "Check")


def sample_payment() -> Payment:
    """A valid payment between made-up parties, most of them below $10,000."""
    return Payment(
        id=str(uuid.uuid4()),
        payee_bank=random.choice(BANKS),
        payee_account_no=random.randint(9001, 9003),
        payment_amount=random.randint(50_000, 1_050_000) / 100,
        payment_method=random.choice(METHODS),
        payor_account_no=random.randint(1001, 1010),
    )

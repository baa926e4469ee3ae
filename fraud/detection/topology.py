"""The stages by name, what each reads and writes: also for those who follow the processes from outside.

    payment_json, payment_avro, payment_protobuf ──▶ by payor ──▶ review_queue
                          payments ──▶   │  └──▶ payments_by_payee ──▶ by payee ──▶ review_queue
                             ▲───────────┘

A raw topic's partition has most of its payments at home: in the partition that their payor's number leads to. They are
judged right there. What is not at home goes to `payments`, where it belongs, and is judged when it comes back. What a
rule that is grouped by payee counts goes to `payments_by_payee`.
"""

from schemas.kafka.topics import (
    FRAUD_STATE,
    PAYMENT_LATE,
    PAYMENT_REJECTED,
    PAYMENT_REPEATED,
    PAYMENTS,
    PAYMENTS_BY_PAYEE,
    RAW_TOPICS,
    REVIEW_QUEUE,
)

BY_PAYOR = "by-payor"
BY_PAYEE = "by-payee"

INPUTS = {BY_PAYOR: (*RAW_TOPICS, PAYMENTS), BY_PAYEE: (PAYMENTS_BY_PAYEE,)}

_JUDGED = (REVIEW_QUEUE, FRAUD_STATE, PAYMENT_LATE, PAYMENT_REPEATED, PAYMENT_REJECTED)
OUTPUTS = {BY_PAYOR: (PAYMENTS, PAYMENTS_BY_PAYEE, *_JUDGED), BY_PAYEE: _JUDGED}

GROUPS = {BY_PAYOR: "normalise", BY_PAYEE: "by-payee"}
"""Consumer groups, after the installation's name and a hyphen. That by payor goes on where one stage that was called
normalise has come to on the raw topics."""

HOT_CASES_EVERY_SECONDS = 1.0
"""Interval at which the cases of hot windows are written: a case may be that much behind its payments."""


def consumer_group(app: str, stage: str) -> str:
    """The group in which an installation's workers share a stage's partitions."""
    return f"{app}-{GROUPS[stage]}"

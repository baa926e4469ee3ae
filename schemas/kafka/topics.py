"""The topics: their names, and how long what is in them stays."""

PAYMENT_JSON = "payment_json"
PAYMENT_AVRO = "payment_avro"
PAYMENT_PROTOBUF = "payment_protobuf"
PAYMENTS = "payments"
PAYMENTS_BY_PAYEE = "payments_by_payee"
PAYMENT_REJECTED = "payment_rejected"
PAYMENT_LATE = "payment_late"
PAYMENT_REPEATED = "payment_repeated"
FRAUD_STATE = "fraud_state"
REVIEW_QUEUE = "review_queue"
REVIEW_DECISIONS = "review_decisions"
REVIEW_VIEWS = "review_views"

RAW_TOPICS = (PAYMENT_JSON, PAYMENT_AVRO, PAYMENT_PROTOBUF)
ALL_TOPICS = (
    *RAW_TOPICS,
    PAYMENTS,
    PAYMENTS_BY_PAYEE,
    PAYMENT_REJECTED,
    PAYMENT_LATE,
    PAYMENT_REPEATED,
    FRAUD_STATE,
    REVIEW_QUEUE,
    REVIEW_DECISIONS,
    REVIEW_VIEWS,
)

REQUEST_ID = "request_id"
"""Header of a record: the HTTP request that led to it. Records of other producers may lack it."""

FIVE_YEARS_DAYS = 1826
"""For so long a bank keeps its records (31 CFR 1010.430(d))."""


def _deleted_after(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * 86_400_000)}


# What was taken at the door is not refused inside, although Kafka's clock may have been set back meanwhile.
_ANY_TIME = {"message.timestamp.after.max.ms": str(2**63 - 1)}
_COMPACTED = {"cleanup.policy": "compact"}
_KEPT = {"cleanup.policy": "delete", "retention.ms": "-1"}

CONFIGS: dict[str, dict[str, str]] = {
    PAYMENT_JSON: _deleted_after(days=7),
    PAYMENT_AVRO: _deleted_after(days=7),
    PAYMENT_PROTOBUF: _deleted_after(days=7),
    PAYMENTS: _deleted_after(days=7) | _ANY_TIME,
    PAYMENTS_BY_PAYEE: _deleted_after(days=7) | _ANY_TIME,
    PAYMENT_REJECTED: _deleted_after(days=30),
    PAYMENT_LATE: _deleted_after(days=30),
    PAYMENT_REPEATED: _deleted_after(days=30),
    FRAUD_STATE: _COMPACTED,
    REVIEW_QUEUE: _COMPACTED,
    REVIEW_DECISIONS: _KEPT,
    REVIEW_VIEWS: _deleted_after(days=FIVE_YEARS_DAYS),
}

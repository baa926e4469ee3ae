"""Records of the queue's topics, and what a view makes of them: for the tests of its modules."""

import json
import uuid
from decimal import Decimal
from typing import Any

import msgspec
from aiokafka import TopicPartition

from fraud.comparison.compare import Row
from schemas.kafka.topics import REVIEW_QUEUE
from service.queue import case_reads
from service.queue.agreement import KsqldbRow
from service.queue.batch import TopicRecord
from service.queue.view import QueueView
from service.review.parameters import parse_query

SOURCE = {"cluster_id": "a", "topic_id": "b"}
Q = [TopicPartition(REVIEW_QUEUE, number) for number in range(4)]
HEADER = b"\0\0\0\0\7"
FAR_AHEAD = 2**53


def case(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "case_id": str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))),
        "rule": "structuring",
        "group": {"payor_account_no": number % 3, "payee_bank": "B", "payee_account_no": number},
        "window_start": 1000 * number,
        "window_end": 1000 * number + 500,
        "payment_count": 2,
        "total_amount": f"{10_000 + number}.03",
        "max_amount": 9000.5,
        "first_payment_at": 1,
        "last_payment_at": 100 + number,
        "payments": [
            {"id": "p", "payment_amount": 1.0, "payment_method": "ACH", "timestamp": 1, "topic": "payment_json"}
        ],
        **changes,
    }


def record(content: dict[str, Any] | None, *, offset: int = 0, key: str = "", header: bytes = HEADER) -> TopicRecord:
    value = None if content is None else header + json.dumps(content).encode()
    return TopicRecord(0, offset, (key or (content or {}).get("case_id", "")).encode(), value)


def read_cases(view: QueueView, **parameters: str) -> list[dict[str, Any]]:
    items, _ = case_reads.page(view, parse_query(parameters))
    return decoded(items)


def ksqldb_row(content: dict[str, Any], *, timestamp: int = 7, deleted: bool = False, **changes: Any) -> KsqldbRow:
    """ksqlDB's row of a case."""
    row = Row(
        content["window_end"],
        content["payment_count"],
        Decimal(content["total_amount"]),
        content["max_amount"],
        tuple(sorted(payment["id"] for payment in content["payments"])),
    )
    return KsqldbRow(
        content["case_id"],
        content["rule"],
        content["group"],
        content["window_start"],
        timestamp,
        None if deleted else msgspec.structs.replace(row, **changes),
    )


def decision(number: int, kind: str = "claim", of: dict[str, Any] | None = None, **changes: Any) -> TopicRecord:
    about = of or case()
    body = {
        "decision_id": f"d{number}",
        "case_id": about["case_id"],
        "number": number,
        "decision": kind,
        "reviewer": "ann",
        "time": 1000 + number,
        "rule": about["rule"],
        "group": about["group"],
        "payment_count": about["payment_count"],
        "total_amount": about["total_amount"],
        **changes,
    }
    return TopicRecord(0, number, about["case_id"].encode(), json.dumps(body).encode())


def exemption(at: int, **changes: Any) -> TopicRecord:
    body = {
        "exemption_id": "e1",
        "group": {"payor_account_no": 0},
        "rules": [],
        "reason": "payroll",
        "reviewer": "ann",
        "time": at,
        "until": 2**47,
        "max_total": "50000.00",
        **changes,
    }
    return TopicRecord(0, at, b"e1", json.dumps(body).encode())


def decoded(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads(msgspec.json.encode(items))
    return content

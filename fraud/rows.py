"""Both engines' records, read as rows that can be compared. Pure: bytes in, rows out."""

from decimal import Decimal

import msgspec

from fraud.compare import Place, Row, place
from fraud.rules import Rule
from schemas import wire

SINK = "ksqldb_"
"""What the names of ksqlDB's sink topics begin with; the rule's name follows."""

_decode_exact = msgspec.json.Decoder(float_hook=Decimal).decode


def of_ksqldb(rule: Rule, key: bytes, value: bytes | None) -> tuple[Place, Row | None]:
    """A record of a sink topic. Its key: columns named `K_...`, or one bare value; then the window's start, 8 bytes."""
    start = int.from_bytes(key[-8:], "big")
    columns = msgspec.json.decode(key[:-8])
    values = [columns[f"K_{name.upper()}"] for name in rule.group_by] if isinstance(columns, dict) else [columns]
    where = place(rule.name, start, dict(zip(rule.group_by, values, strict=True)))
    if value is None:
        return where, None
    row = _decode_exact(value)
    return where, Row(
        row["WINDOW_END"],
        row["PAYMENT_COUNT"],
        Decimal(row["TOTAL_AMOUNT"]).quantize(Decimal("0.01")),
        float(row["MAX_AMOUNT"]),
        tuple(sorted(row["PAYMENT_IDS"])),
    )


def of_python(value: bytes) -> tuple[Place, Row]:
    """A record of `review_queue`: a case, with the wire format's header or without."""
    case = msgspec.json.decode(value[wire.HEADER_BYTES :] if wire.is_framed(value) else value)
    return place(case["rule"], case["window_start"], case["group"]), Row(
        case["window_end"],
        case["payment_count"],
        Decimal(case["total_amount"]),
        case["max_amount"],
        tuple(sorted(payment["id"] for payment in case["payments"])),
    )

"""Payments and a real ksqlDB's rows of them, recorded; README.md says how. Never edit these files."""

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from schemas.payment import Payment

HERE = Path(__file__).parent

RULES = """
[[rule]]
name = "structuring"
group_by = ["payor_account_no", "payee_bank", "payee_account_no"]
amount_below = 10000.00
total_above = 10000.00

[[rule]]
name = "fan_out"
group_by = ["payor_account_no"]
amount_below = 10000.00
total_above = 10000.00
min_distinct = { of = ["payee_bank", "payee_account_no"], count = 3 }

[[rule]]
name = "fan_in"
group_by = ["payee_bank", "payee_account_no"]
amount_below = 10000.00
total_above = 10000.00
min_distinct = { of = ["payor_account_no"], count = 3 }

[[rule]]
name = "just_below"
group_by = ["payor_account_no"]
amount_from = 9000.00
amount_below = 10000.00
min_payments = 3

[[rule]]
name = "velocity"
group_by = ["payor_account_no"]
min_payments = 5
"""
"""The rules of `a` and `b`, but for their windows."""

WINDOWS = {
    "tumbling_1h_grace_10m": 'window = "1h"\ngrace = "10m"\n',
    "hopping_1h_15m_grace_10m": 'window = "1h"\nadvance = "15m"\ngrace = "10m"\n',
    "tumbling_1h_grace_0": 'window = "1h"\ngrace = "0s"\n',
    "tumbling_1h_default_grace": 'window = "1h"\n',
}


class GoldenPayment(Payment, frozen=True):
    """A line of a recorded input."""

    topic: str
    partition: int
    offset: int
    timestamp: int


def lines(name: str) -> Iterator[bytes]:
    """The lines of a recorded file."""
    with gzip.open(HERE / f"{name}.ndjson.gz") as file:
        yield from file


@cache
def payments(name: str) -> list[GoldenPayment]:
    """The payments that ksqlDB read, in offset order."""
    decode = msgspec.json.Decoder(GoldenPayment).decode
    return [decode(line) for line in lines(f"{name}.payments")]


def rules_toml(window: str) -> str:
    """The rules of `a` and `b` with one of their windows."""
    return RULES.replace("\n[[rule]]\n", "\n[[rule]]\n" + WINDOWS[window])


Row = dict[str, Any]


@cache
def recorded(name: str) -> dict[tuple[str, str, str], list[Row]]:
    """The rows that ksqlDB wrote, in order, by window, emit mode and rule; a row has the fields of `fraud replay`."""
    rows: dict[tuple[str, str, str], list[Row]] = {}
    for row in map(msgspec.json.decode, lines(f"{name}.ksqldb")):
        rows.setdefault((row.pop("window"), row.pop("emit"), row["rule"]), []).append(row)
    return rows


def last_rows_of_three_formats() -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Last row of each window that ksqlDB wrote: (count, total, largest, sorted ids, end) by (rule, group, start)."""
    rows = {}
    for record in map(msgspec.json.decode, lines("three-formats.ksqldb")):
        row = json.loads(record["value"], parse_float=Decimal)
        key = json.loads(bytes.fromhex(record["key_hex"])[:-8])
        group = tuple(key.values()) if isinstance(key, dict) else (key,)
        rows[record["topic"].removeprefix("ksqldb_"), group, row["WINDOW_START"]] = (
            row["PAYMENT_COUNT"],
            str(row["TOTAL_AMOUNT"]),
            float(row["MAX_AMOUNT"]),
            sorted(row["PAYMENT_IDS"]),
            row["WINDOW_END"],
        )
    return rows

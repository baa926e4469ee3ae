"""Evidence when all is over: the topics, read committed, and the service's queue."""

import asyncio
import json
import time

import aiohttp
import msgspec

from fraud.comparison.lag import python_lag
from schemas import wire_format
from schemas.errors import UndertenError
from schemas.kafka.reading import read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import RAW_TOPICS, REVIEW_QUEUE
from schemas.payment import Payment
from schemas.payment_reader import PaymentReader
from schemas.registry import Registry
from tests.conftest import Servers
from tests.soak.installation import WORKERS, Installation
from tests.soak.verdict import Case, Raw

PAGE = 500
LOOK_SECONDS = 0.5
HOT_SECONDS = 3.0
"""After which the cases of windows that change all the time have been written."""


async def raw_payments(servers: Servers) -> list[Raw]:
    """Every payment on the three topics, each read by the schema that it was written with."""
    reader = PaymentReader(Registry(servers.registry_settings))
    payments: list[Raw] = []
    async for records in read_to_end(servers.kafka_settings, RAW_TOPICS):
        await reader.learn(records)
        for record in records:
            payment = Payment(*msgspec.structs.astuple(reader.read(record)))
            payments.append(Raw(record.topic, record.timestamp, payment))
    return payments


async def cases_on_topic(kafka: KafkaSettings) -> dict[str, Case]:
    """The last version of each case."""
    cases: dict[str, Case] = {}
    async for records in read_to_end(kafka, [REVIEW_QUEUE]):
        cases |= {record.key.decode(): json.loads(record.value[wire_format.HEADER_BYTES :]) for record in records}
    return cases


async def everything_detected(kafka: KafkaSettings, seconds: float) -> bool:
    """Wait until fraud has nothing left to do, but no longer than that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if not await python_lag(kafka, "underten"):
                await asyncio.sleep(HOT_SECONDS)
                return not await python_lag(kafka, "underten")
        except UndertenError:
            pass  # groups that are being joined at this moment
        await asyncio.sleep(LOOK_SECONDS)
    return False


async def cases_shown(installation: Installation, expected: dict[str, Case], seconds: float) -> dict[str, Case]:
    """The cases that the service shows, once each worker shows those expected, or else when the time is over.

    A new connection is dealt to a worker by chance: in one of a thousand times, one of two was never asked.
    """
    end, agreed, shown = time.monotonic() + seconds, 0, dict[str, Case]()
    while agreed < 10 * (WORKERS - 1) + 1 and (time.monotonic() < end or not shown):
        try:
            shown = await _all_pages(installation.url)
        except (aiohttp.ClientError, TimeoutError):
            shown = {}
        if _same(expected, shown):
            agreed += 1
        elif time.monotonic() < end:
            agreed = 0
            await asyncio.sleep(LOOK_SECONDS)
        else:
            break
    return shown


def _same(expected: dict[str, Case], shown: dict[str, Case]) -> bool:
    return expected.keys() == shown.keys() and all(
        case["payment_count"] == shown[case_id]["payment_count"] for case_id, case in expected.items()
    )


async def _all_pages(url: str) -> dict[str, Case]:
    """A worker's queue: all pages by one connection."""
    cases: dict[str, Case] = {}
    query = {"limit": str(PAGE)}
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        while True:
            async with session.get(f"{url}/review-queue", params=query) as response:
                page = await response.json()
            cases |= {item["case_id"]: item for item in page["items"]}
            if page["next_cursor"] is None:
                return cases
            query["cursor"] = page["next_cursor"]

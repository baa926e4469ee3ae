"""The rule `structuring` in Faust, at least once: `faust_peer.py BOOTSTRAP APPLICATION PAYMENTS FOLDER`.

Windows are in memory, each change goes to a changelog topic.
"""

import asyncio
import sys
from datetime import timedelta
from typing import Any

import faust
import orjson
from progress import Progress

HEADER = 5  # Confluent's wire format: a zero and the schema's id
BELOW = 10_000
CENTS_ABOVE = 10_000_00
DAY = timedelta(days=1)
GRACE = timedelta(hours=1)
PARTITIONS = 6
COMMIT_SECONDS = 0.1


def application(servers: str, name: str, folder: str, progress: Progress, through: asyncio.Event) -> faust.App:
    """The application; it tells when all payments are processed."""
    app = faust.App(
        name,
        broker=f"aiokafka://{servers}",
        store="memory://",
        datadir=folder,
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        topic_disable_leader=True,
        web_enabled=False,
        broker_commit_interval=COMMIT_SECONDS,
        broker_commit_every=100_000,
        broker_max_poll_records=5_000,
        stream_buffer_maxsize=16_384,
        stream_wait_empty=False,
        producer_max_batch_size=262_144,
        consumer_auto_offset_reset="earliest",
    )
    raw = app.topic("payment_json", key_serializer="raw", value_serializer="raw", key_type=bytes, value_type=bytes)
    pairs = app.topic(f"{name}-pairs", partitions=PARTITIONS, key_type=str, value_type=str, internal=True)
    pairs_options: dict[str, Any] = {"key_serializer": "raw", "value_serializer": "raw"}
    cases = app.topic(f"{name}_cases", key_type=str, value_type=str, **pairs_options)
    windows = app.Table("windows", partitions=PARTITIONS, default=lambda: (0, 0)).tumbling(DAY, expires=DAY + GRACE)
    sums = windows.relative_to_stream()

    @app.agent(raw)
    async def decode(stream: Any) -> None:
        async for event in stream.events():
            progress.count_read()
            payment = orjson.loads(event.value[HEADER:])
            if payment["payment_amount"] < BELOW:
                progress.passed += 1
                pair, cents = paired(payment)
                await pairs.send(key=pair, value=str(cents), timestamp=event.message.timestamp, **pairs_options)

    @app.agent(pairs)
    async def add(stream: Any) -> None:
        async for event in stream.events():
            pair = event.key
            cents, count = sums[pair].current()
            cents, count = cents + int(event.value), count + 1
            sums[pair] = (cents, count)
            if cents > CENTS_ABOVE:
                await cases.send(key=pair, value=f"{cents},{count}")
            progress.added += 1
            if progress.through:
                through.set()

    return app


def paired(payment: dict[str, Any]) -> tuple[str, int]:
    """The pair, and the amount in cents: exact, because amounts have at most two decimals."""
    pair = f"{payment['payor_account_no']}|{payment['payee_bank']}|{payment['payee_account_no']}"
    return pair, round(payment["payment_amount"] * 100)


async def run(servers: str, name: str, payments: int, folder: str) -> None:
    """Until all payments are committed; prints what it took."""
    progress, through = Progress(payments), asyncio.Event()
    app = application(servers, name, folder, progress, through)
    await app.start()
    await through.wait()
    await app.producer.flush()
    await app.consumer.commit()
    print(progress.line(), flush=True)
    await app.stop()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))

"""The rule `structuring` in Quix Streams, exactly once: `quix_peer.py BOOTSTRAP APPLICATION PAYMENTS FOLDER`.

Windows are in RocksDB, each change goes to a changelog topic; a checkpoint commits both, outputs and offsets.
"""

import sys
from typing import Any

import orjson
from progress import Progress
from quixstreams import Application
from quixstreams.dataframe.windows import Count, Sum
from quixstreams.models import SerializationContext, Serializer

HEADER = 5  # Confluent's wire format: a zero and the schema's id
BELOW = 10_000
CENTS_ABOVE = 10_000_00
DAY_MS = 86_400_000
GRACE_MS = 3_600_000
PARTITIONS = 6
COMMIT_SECONDS = 0.1


class Cents(Serializer):
    """Cents alone: the pair is the key."""

    def __call__(self, value: tuple[str, int], ctx: SerializationContext) -> bytes:
        """A number, as JSON."""
        return b"%d" % value[1]


def run(servers: str, name: str, payments: int, folder: str) -> None:
    """Until all payments are committed; prints what it took."""
    progress = Progress(payments)
    app = Application(
        servers,
        consumer_group=name,
        state_dir=folder,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_SECONDS,
        loglevel="ERROR",
        producer_extra_config={"linger.ms": 20, "batch.size": 262_144},
    )

    def decode(value: bytes) -> Any:
        progress.count_read()
        return orjson.loads(value[HEADER:])

    def passes(payment: dict[str, Any]) -> bool:
        passed = payment["payment_amount"] < BELOW
        progress.passed += passed
        return bool(passed)

    def added(_: dict[str, Any]) -> None:
        progress.added += 1
        if progress.through:
            app.stop()

    frame = app.dataframe(app.topic("payment_json", value_deserializer="bytes", key_deserializer="bytes"))
    frame = frame.apply(decode).filter(passes).apply(paired)
    frame = frame.group_by(
        lambda pair_and_cents: pair_and_cents[0],
        name="pairs",
        key_serializer="str",
        key_deserializer="str",
        value_serializer=Cents(),
        value_deserializer="json",
    )
    frame = frame.tumbling_window(DAY_MS, GRACE_MS).agg(cents=Sum(), count=Count()).current()
    frame = frame.update(added).filter(lambda window: window["cents"] > CENTS_ABOVE)
    frame.to_topic(app.topic(f"{name}_cases", key_serializer="str", value_serializer="json"))
    app.run()
    print(progress.line(), flush=True)


def paired(payment: dict[str, Any]) -> tuple[str, int]:
    """The pair, and the amount in cents: exact, because amounts have at most two decimals."""
    pair = f"{payment['payor_account_no']}|{payment['payee_bank']}|{payment['payee_account_no']}"
    return pair, round(payment["payment_amount"] * 100)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])

"""Users for locust: the traffic of `typologies` over all addresses and formats, and the truth of it into a file.

A round lasts a second: each user posts one payment to each of the three addresses in its own format, and the rest as a
batch (NDJSON) to one of them in turn. Users share one stream of payments: which payments there are depends on the seed
alone, who sends them and when does not.
"""

import logging
import time
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from load_settings import read_settings
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner
from shapes import users_at
from traffic import LoadTraffic, Sent
from typologies import Pattern

from locust import FastHttpUser, LoadTestShape, constant_pacing, events, task
from schemas.codecs import AvroCodec, ProtobufCodec
from schemas.payment import encode_json

MAX_USERS = 20
MIN_USER_RATE = 10.0
"""Payments a second that a user makes at least: below, there are fewer users."""
SPAWN_RATE = 100.0
CONFLICT = 409
MAX_LINES = 5000
"""Payments in a batch, at most; the service takes 10,000."""

log = logging.getLogger("underten")


SETTINGS = read_settings()
SEED = time.time_ns() // 1_000_000 if SETTINGS.load_seed is None else SETTINGS.load_seed
USERS = max(1, min(MAX_USERS, int(SETTINGS.load_rate / MIN_USER_RATE)))
USER_RATE = SETTINGS.load_rate / USERS
TRUTH = Path(SETTINGS.truth)

if SETTINGS.load_shape != "none":

    class Shape(LoadTestShape):
        """The load shape: locust asks it every second."""

        def tick(self) -> tuple[int, float] | None:
            """Users, and how many of them may be started in a second; None at the end."""
            at = self.get_run_time()  # type: ignore[no-untyped-call]
            users = users_at(SETTINGS.load_shape, at, SETTINGS.load_seconds, USERS)
            return None if users is None else (users, SPAWN_RATE)


class Run:
    """The stream that users share, and what has become of its payments.

    With `--processes` each process has a stream of its own, and all write one truth.
    """

    def __init__(self, process: int | None = None) -> None:
        seed = SEED if process is None else f"{SEED}-{process}"
        self.traffic = LoadTraffic(seed, SETTINGS.load_share, pause=max(1, int(SETTINGS.load_rate / 2)))
        self.acknowledged = 0
        self.refused = 0
        self.began_at = time.monotonic()
        self._made_at: dict[Pattern, dict[int, int]] = {}
        self._unanswered: dict[Pattern, int] = {}
        self._file = TRUTH.open("ab", buffering=0)  # one write a line: processes do not tear each other's apart

    def take(self, payments: int) -> list[Sent]:
        """The next payments; each is to be answered by `settle`."""
        batch = self.traffic.take(payments)
        for sent in batch:
            if sent.pattern is not None and sent.pattern not in self._made_at:
                self._made_at[sent.pattern] = {}
                self._unanswered[sent.pattern] = len(sent.pattern.payments)
        return batch

    def settle(self, sent: Sent, timestamp: int | None) -> None:
        """The service's answer about a payment: its timestamp, or that it was not taken."""
        if timestamp is None:
            self.refused += not sent.again
        else:
            self.acknowledged += not sent.again
        if (pattern := sent.pattern) is None:
            return
        if timestamp is not None:
            self._made_at[pattern][sent.place] = timestamp
        self._unanswered[pattern] -= 1
        if not self._unanswered[pattern]:
            self._write(pattern)

    def end(self) -> None:
        """Write the truth of patterns that were cut off, too: what was sent of them may make a case all the same."""
        for pattern in list(self._made_at):
            self._write(pattern)
        self._write_line({"kind": "run", "run": self.traffic.ids.run, "payments": self.acknowledged})
        self._file.close()
        seconds = time.monotonic() - self.began_at
        log.info(
            "seed %d: %d payments acknowledged, %.0f a second; %d were not; truth in %s",
            SEED,
            self.acknowledged,
            self.acknowledged / seconds,
            self.refused,
            TRUTH,
        )

    def _write(self, pattern: Pattern) -> None:
        made_at = self._made_at.pop(pattern)
        del self._unanswered[pattern]
        if made_at:
            self._write_line(pattern.truth(made_at))

    def _write_line(self, line: dict[str, Any]) -> None:
        self._file.write(encode_json(line) + b"\n")


RUNS: list[Run] = []
"""The run that is going on, if one is."""


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def begin(environment: Environment, **_: Any) -> None:
    """A run begins; in the web interface there may be several. Its truth begins empty, before any process sends."""
    runner = environment.runner
    if not isinstance(runner, WorkerRunner):
        TRUTH.parent.mkdir(parents=True, exist_ok=True)
        TRUTH.write_bytes(b"")
    if not isinstance(runner, MasterRunner):
        RUNS[:] = [Run(runner.worker_index if isinstance(runner, WorkerRunner) else None)]


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def end(**_: Any) -> None:
    """A run has ended, and all its users."""
    if RUNS:
        RUNS.pop().end()


def is_loopback(host: str) -> bool:
    """True of an address of this machine."""
    name = urlsplit(host).hostname or ""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def is_repetition(sent: Sent, status: int) -> bool:
    """True if the service refused a payment sent again because it has it, from another address."""
    return sent.again and status == CONFLICT


class PostReceipt(msgspec.Struct):
    """The part of an answer that says when a payment was taken; a line of a batch has a status of its own."""

    timestamp: int | None = None
    status: int = 201


_decode = msgspec.json.Decoder(PostReceipt).decode
_decode_lines = msgspec.json.Decoder(PostReceipt).decode_lines

SINGLE = (
    ("/payment_json", "application/json", encode_json),
    ("/payment_avro", "avro/binary", AvroCodec(b"").encode),
    ("/payment_protobuf", "application/x-protobuf", ProtobufCodec(b"").encode),
)
NUMBERS = count()


class Bank(FastHttpUser):
    """Posts `USER_RATE` payments a second."""

    host = "http://127.0.0.1:8000"
    wait_time = constant_pacing(1.0)
    connection_timeout = 10.0
    network_timeout = 30.0

    def __init__(self, environment: Environment) -> None:
        self.host = str(self.host).rstrip("/")  # each path begins with one
        super().__init__(environment)
        self.number = next(NUMBERS)
        self.owed = 0.0
        self.rounds = self.number

    def on_start(self) -> None:
        """Users begin their seconds at different moments. locust has made `time.sleep` let others work meanwhile."""
        if not (SETTINGS.load_anywhere or is_loopback(str(self.host))):
            log.error("%s is not this machine; LOAD_ANYWHERE=true allows it", self.host)
            self.environment.process_exit_code = 1
            self.environment.runner.quit()
            raise StopUser
        time.sleep(self.number % USERS / USERS)

    @task
    def second(self) -> None:
        """The payments due in a second."""
        self.owed += USER_RATE
        due = int(self.owed)
        self.owed -= due
        self.rounds += 1
        sent = RUNS[0].take(due)
        for one, (path, kind, encode) in zip(sent, SINGLE, strict=False):
            self.post_one(one, path, kind, encode(one.payment))
        for at in range(len(SINGLE), len(sent), MAX_LINES):
            self.post_batch(sent[at : at + MAX_LINES], SINGLE[self.rounds % len(SINGLE)][0])

    def post_one(self, sent: Sent, path: str, kind: str, body: Any) -> None:
        """A payment."""
        headers = {"Content-Type": kind}
        with self.client.post(path, data=body, headers=headers, catch_response=True) as answer:
            timestamp = _decode(answer.content).timestamp if answer.status_code == 201 else None
            if timestamp is not None or is_repetition(sent, answer.status_code):
                answer.success()
            else:
                answer.failure(f"status {answer.status_code}")
        RUNS[0].settle(sent, timestamp)

    def post_batch(self, batch: list[Sent], path: str) -> None:
        """Many payments, one a line."""
        body: Any = b"\n".join([encode_json(sent.payment) for sent in batch])  # locust's types know of text only
        headers = {"Content-Type": "application/x-ndjson"}
        name = f"{path} batch"
        with self.client.post(path, data=body, name=name, headers=headers, catch_response=True) as answer:
            whole = answer.status_code == 200
            receipts = _decode_lines(answer.content) if whole else [PostReceipt(None, answer.status_code)] * len(batch)
            refused = sum(
                receipt.status != 201 and not is_repetition(sent, receipt.status)
                for sent, receipt in zip(batch, receipts, strict=True)
            )
            if refused:
                answer.failure("lines refused" if whole else f"status {answer.status_code}")
                log.warning("%d of %d payments of a batch were refused", refused, len(batch))
        for sent, receipt in zip(batch, receipts, strict=True):
            RUNS[0].settle(sent, receipt.timestamp if receipt.status == 201 else None)

"""A peer at work: it goes through the backlog on `payment_json` as the rule `structuring` wants it, and is measured.

A peer is started with bootstrap servers, an application id, the number of payments and a folder for its state. When
all payments are processed and committed, it prints one line of JSON. Cases go to `APPLICATION_ID_cases`, a key for
each pair and window; how many there are is counted here, not by the peer. A peer that does all that the fraud stages do
also writes each payment by payee, to `APPLICATION_ID_payments_by_payee`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import msgspec

from benchmarks.peers import cases
from compose.child import Child, ChildDied
from schemas.errors import UndertenError
from schemas.kafka.settings import KafkaSettings

TIMEOUT_SECONDS = 900.0


class PeerMissing(UndertenError):
    """A peer cannot be run here; the message says why."""


class PeerFailed(UndertenError):
    """A peer ended without a result."""


class Measured(msgspec.Struct, frozen=True):
    """Figures that a peer prints of itself. CPU seconds are the whole process's, user and system."""

    payments: int
    wall_seconds: float
    """From the first payment to the last commit."""
    cpu_seconds: float
    """From the start of the process to the last commit."""
    startup_cpu_seconds: float
    """The part of it before the first payment."""
    cases: int = 0
    """Pairs that fired, as found on the peer's topic."""

    @property
    def per_cpu_second(self) -> float:
        """Payments per CPU second, without the start."""
        return self.payments / (self.cpu_seconds - self.startup_cpu_seconds)


@dataclass(frozen=True)
class Peer:
    """`command` makes a command line, ready to take the four arguments; it may raise PeerMissing.

    It is given a folder that is gone afterwards.
    """

    name: str
    title: str
    command: Callable[[Path], Sequence[str]]


def run(peer: Peer, kafka: KafkaSettings, payments: int, seconds: float = TIMEOUT_SECONDS) -> Measured:
    """Start a peer, wait until it is through, and count its cases. Raises PeerMissing, PeerFailed, KafkaError."""
    application = f"{peer.name}_{uuid4().hex[:8]}"
    servers = kafka.kafka_bootstrap_servers
    with TemporaryDirectory(prefix="underten-peer-") as folder:
        home = Path(folder)
        command = [*peer.command(home), servers, application, str(payments), str(home / "state")]
        cases.make_topics(kafka, application)
        measured = result(peer.name, command, home / "peer.log", seconds)
    return msgspec.structs.replace(measured, cases=cases.count(kafka, cases.topic_of(application)))


def result(name: str, command: Sequence[str], log: Path, seconds: float) -> Measured:
    """Figures of a peer, a child that has ended within so many seconds. Raises PeerFailed."""
    run_to_the_end(name, command, log, seconds)
    for line in reversed(log.read_bytes().splitlines()):
        if line.startswith(b'{"payments"'):
            return msgspec.json.decode(line, type=Measured)
    raise PeerFailed(f"{name} ended without a result; it said: {log.read_text(errors='replace')[-500:]}")


def run_to_the_end(name: str, command: Sequence[str], log: Path, seconds: float) -> None:
    """Run a child that ends by itself, with status 0 and within so many seconds. Raises PeerFailed if it does not."""
    child = Child(name, command, log)
    try:
        child.finish(seconds)
    except ChildDied as error:
        raise PeerFailed(str(error)) from error
    finally:
        child.stop()

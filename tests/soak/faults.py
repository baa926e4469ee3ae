"""The faults: each breaks one thing, waits, and mends it, or leaves it to the supervisor to start again."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable

from tests.soak.installation import FRAUD_PROCESSES, SESSION_SECONDS, Installation

Fault = Callable[[Installation, random.Random], Awaitable[None]]

MOMENT, WHILE = 2.0, 5.0
"""Seconds."""
GARBAGE_BYTES = 64 * 1024


async def kafka_killed(at: Installation, chance: random.Random) -> None:
    at.servers.kafka.kill()
    await asyncio.sleep(MOMENT)
    await at.start_kafka()


async def kafka_frozen(at: Installation, chance: random.Random) -> None:
    at.servers.kafka.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(WHILE)
    at.wake(at.servers.kafka)


async def registry_killed(at: Installation, chance: random.Random) -> None:
    at.servers.children["registry"].kill()
    await asyncio.sleep(WHILE)
    await at.start_registry()


async def fraud_restarted_without_registry(at: Installation, chance: random.Random) -> None:
    at.servers.children["registry"].kill()
    at.children[chance.choice(FRAUD_PROCESSES)].kill()
    await asyncio.sleep(WHILE)
    await at.start_registry()


async def service_killed(at: Installation, chance: random.Random) -> None:
    at.children["service"].kill()


async def worker_killed(at: Installation, chance: random.Random) -> None:
    os.kill(chance.choice(at.workers()), signal.SIGKILL)


async def service_rolled(at: Installation, chance: random.Random) -> None:
    before = at.children["service"]
    await at.listening(at.start_service())
    await at.end("service", before)


async def service_restarted(at: Installation, chance: random.Random) -> None:
    await at.end("service")
    at.start_service()


async def fraud_killed(at: Installation, chance: random.Random) -> None:
    at.children[chance.choice(FRAUD_PROCESSES)].kill()


async def fraud_rolled(at: Installation, chance: random.Random) -> None:
    for name in FRAUD_PROCESSES:
        await at.end(name)
        at.start_fraud(name)
        await asyncio.sleep(MOMENT)


async def fraud_frozen(at: Installation, chance: random.Random) -> None:
    frozen = at.children[chance.choice(FRAUD_PROCESSES)]
    frozen.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(SESSION_SECONDS + MOMENT)
    at.wake(frozen)


async def network_cut(at: Installation, chance: random.Random) -> None:
    at.link.cut()
    await asyncio.sleep(WHILE)
    at.link.mend()


async def network_silent(at: Installation, chance: random.Random) -> None:
    at.link.silence()
    await asyncio.sleep(WHILE)
    at.link.mend()


async def network_slow(at: Installation, chance: random.Random) -> None:
    at.link.slow(0.2)
    await asyncio.sleep(WHILE)
    at.link.mend()


async def view_corrupted(at: Installation, chance: random.Random) -> None:
    _corrupt(at, chance)


async def view_corrupted_while_down(at: Installation, chance: random.Random) -> None:
    await at.end("service")
    _corrupt(at, chance)
    at.start_service()


async def disk_full(at: Installation, chance: random.Random) -> None:
    at.fill_disk(full=True)
    await asyncio.sleep(WHILE)
    at.fill_disk(full=False)


def _corrupt(at: Installation, chance: random.Random) -> None:
    for view in at.views():
        with view.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(chance.choice([0, max(0, size // 2 - GARBAGE_BYTES)]))
            file.write(chance.randbytes(GARBAGE_BYTES))


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        kafka_killed,
        kafka_frozen,
        registry_killed,
        fraud_restarted_without_registry,
        service_killed,
        worker_killed,
        service_rolled,
        service_restarted,
        fraud_killed,
        fraud_rolled,
        fraud_frozen,
        network_cut,
        network_silent,
        network_slow,
        view_corrupted,
        view_corrupted_while_down,
        disk_full,
    )
}

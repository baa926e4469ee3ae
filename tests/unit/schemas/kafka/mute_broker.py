"""A broker that says which requests it knows, as every client asks first, and then reads as its test wishes."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from schemas.kafka.settings import KafkaSettings

METADATA_0_TO_1 = 3, 0, 1
API_VERSIONS_0 = 18, 0, 0


@dataclass
class MuteBroker:
    """What a test sees of the one connection that a client opens."""

    kafka: KafkaSettings
    introduced: asyncio.Event = field(default_factory=asyncio.Event)
    reader: asyncio.StreamReader = field(init=False)


@asynccontextmanager
async def mute_broker() -> AsyncIterator[MuteBroker]:
    """Listen on a free port; `reader` is there from `introduced` on."""
    writers: list[asyncio.StreamWriter] = []

    async def introduce(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        request = await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
        correlation_id = request[4:8]
        answer = correlation_id + struct.pack(">hi3h3h", 0, 2, *METADATA_0_TO_1, *API_VERSIONS_0)
        writer.write(len(answer).to_bytes(4) + answer)
        broker.reader = reader
        broker.introduced.set()

    async with await asyncio.start_server(introduce, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        broker = MuteBroker(KafkaSettings(kafka_bootstrap_servers=f"{host}:{port}"))
        try:
            yield broker
        finally:
            for writer in writers:
                writer.transport.abort()

"""A network between a client and a server that a test can cut, silence and slow: a TCP proxy in the test's own loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK = 64 * 1024


class Link:
    """Passes on what comes to `port` to `target`, both on loopback, as long as it is let."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self._is_cut = False
        self._delay = 0.0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Link"]:
        """Open until the end of the block."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        try:
            yield self
        finally:
            server.close()
            self.cut()
            await asyncio.gather(*self._pumps, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection, and each that is tried, until `mend`."""
        self._is_cut = True
        self._flowing.set()
        for end in self._ends:
            end.transport.abort()

    def silence(self) -> None:
        """Let nothing through until `mend`; what is under way waits, and connections stay."""
        self._flowing.clear()

    def slow(self, seconds: float) -> None:
        """Hold back each 64 KiB, and whatever comes alone, for so long, until `mend`."""
        self._delay = seconds

    def mend(self) -> None:
        """As if nothing had been."""
        self._is_cut, self._delay = False, 0.0
        self._flowing.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            if self._is_cut:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._ends.add(far_writer)
            try:
                await self._both_ways((reader, far_writer), (far_reader, writer))
            finally:
                self._ends.discard(far_writer)
                far_writer.transport.abort()
        except OSError:
            pass  # the server is away: so is the connection to it
        finally:
            self._ends.discard(writer)
            writer.transport.abort()

    async def _both_ways(self, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """Until either side has closed."""
        pumps = [asyncio.create_task(self._pump(*way)) for way in ways]
        self._pumps.update(pumps)
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._pumps.difference_update(pumps)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await self._flowing.wait()
                await asyncio.sleep(self._delay)
                writer.write(chunk)
                await writer.drain()

"""Underten on this machine, as it would be run: Kafka, the registry, two fraud processes, a service of two workers.

A process that ends by itself is started again, as any supervisor does. The service reaches Kafka through
a link that can be cut.
"""

import asyncio
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from compose.addresses import free_port
from compose.child import Child
from service.server import READY_SECONDS
from tests.conftest import Servers
from tests.link import Link

FRAUD_PROCESSES = ("fraud 1", "fraud 2")
WORKERS = 2
SESSION_SECONDS = 6
START_SECONDS = 2 * READY_SECONDS
"""Beside a machine's other work; a service listens after READY_SECONDS, whether its view has caught up or not."""
DRAIN_SECONDS = 30.0
LOOK_SECONDS = 0.2


class Installation:
    """The processes, by name: kafka and registry are `servers`', the others `ours`."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.servers = Servers(folder)
        self.link = Link(self.servers.link_port, self.servers.far_port)
        self.folder = folder
        self.children: dict[str, Child] = {}
        self.complaints: list[str] = []
        """What processes did that they should not have done, whoever broke what."""
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self._service_port = port
        self._say = say
        self._started = 0
        # A server ends with the thread that started it.
        self._starter = ThreadPoolExecutor(max_workers=1)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Installation"]:
        """Everything, from when it is ready to the end of the block."""
        supervising = None
        try:
            async with self.link.running():
                await self.start_kafka()
                await self.start_registry()
                for name in FRAUD_PROCESSES:
                    self.start_fraud(name)
                await self.listening(self.start_service())
                supervising = asyncio.create_task(self._start_again_what_ended())
                yield self
        finally:
            if supervising is not None:
                supervising.cancel()
            for child in self.children.values():
                self.wake(child)
                await asyncio.to_thread(child.stop)
            self.servers.stop()
            self._starter.shutdown()

    async def start_kafka(self) -> None:
        """Until it answers."""
        await asyncio.get_running_loop().run_in_executor(self._starter, self.servers.start_kafka)

    async def start_registry(self) -> None:
        """Until it answers."""
        await asyncio.get_running_loop().run_in_executor(self._starter, self.servers.start_registry)

    def start_fraud(self, name: str) -> None:
        """A process with both stages."""
        changes = {"FRAUD_METRICS_PORT": str(free_port()), "FRAUD_SESSION_TIMEOUT_MS": str(SESSION_SECONDS * 1000)}
        self._start(name, ["fraud", "run"], changes)

    def start_service(self) -> Child:
        """In the place of the one that is there, if there is one: that goes on until somebody ends it."""
        changes = {
            "KAFKA_BOOTSTRAP_SERVERS": self.servers.link_settings.kafka_bootstrap_servers,
            "SERVICE_PORT": str(self._service_port),
            "SHARE_PORT": "true",
            "WORKERS": str(WORKERS),
            "QUEUE_VIEW": str(self.folder / "view.sqlite"),
            "ACCESS_LOG": "off",
        }
        return self._start("service", ["service"], changes)

    async def listening(self, service: Child) -> None:
        """Until all its workers listen, and what listens is ready; raises TimeoutError."""
        async with asyncio.timeout(START_SECONDS):
            while (await asyncio.to_thread(service.log.read_text)).count('"listening"') < WORKERS:
                service.check()
                await asyncio.sleep(LOOK_SECONDS)
            while not await self.is_ready():
                await asyncio.sleep(LOOK_SECONDS)

    async def is_ready(self) -> bool:
        """Ask any worker for its readiness."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/health/ready") as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def end(self, name: str, child: Child | None = None) -> None:
        """Ask a process to end (SIGTERM), and expect that it does so, in order and in time."""
        child = child or self.children.pop(name)
        child.process.send_signal(signal.SIGTERM)
        try:
            status = await asyncio.to_thread(child.process.wait, DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            status = -signal.SIGKILL
        if status != 0:
            self.complaints.append(f"{name} ended with status {status} after SIGTERM, see {child.log}")

    def workers(self) -> list[int]:
        """Process ids of the service's workers."""
        supervisor = self.children["service"].process.pid
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def views(self) -> list[Path]:
        """The files that the service's workers keep the queue in."""
        return sorted(self.folder.glob("view*.sqlite"))

    def fill_disk(self, *, full: bool) -> None:
        """Let the workers write to no file any more, or let them again: what they get is EFBIG in place of ENOSPC."""
        for pid in self.workers():
            with suppress(ProcessLookupError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (0 if full else hard, hard))

    @staticmethod
    def wake(child: Child) -> None:
        """End a freeze, if there is one."""
        with suppress(ProcessLookupError):
            child.process.send_signal(signal.SIGCONT)

    def _start(self, name: str, module: list[str], changes: dict[str, str]) -> Child:
        self._started += 1
        log = self.folder / f"{name.replace(' ', '-')}.{self._started}.log"
        env = {**self.servers.environment, **changes}
        self.children[name] = Child(name, [sys.executable, "-m", *module], log, env)
        return self.children[name]

    async def _start_again_what_ended(self) -> None:
        while True:
            for name, child in list(self.children.items()):
                status = child.process.poll()
                if status is not None:
                    self._say(f"{name} ended with status {status}; it is started again")
                    if name == "service":
                        self.start_service()
                    else:
                        self.start_fraud(name)
            await asyncio.sleep(LOOK_SECONDS)

"""Fraud's own processes at work on a backlog: how far they are, and what that took them."""

import re
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import httpx
import psutil
import stamina

from benchmarks.servers import Servers
from compose.addresses import free_port
from fraud.settings import FraudSettings
from schemas.errors import UndertenError

RULE = """\
[[rule]]
name = "structuring"
group_by = ["payor_account_no", "payee_bank", "payee_account_no"]
amount_below = 10000.00
window = "24h"
grace = "1h"
total_above = 10000.00
"""
ASK_SECONDS = 0.2
HOLD_SECONDS = 0.01
MAX_CREDIT_SECONDS = 0.03
"""Of CPU, that a process held to a share may use at once."""
TASKS_SECONDS = 120.0
_SAMPLE = re.compile(r'^(\w+)(?:\{(?:.*?\b(?:stage|rule)="([\w-]+)")?.*\})? (\S+)$', re.MULTILINE)


class NotThrough(UndertenError):
    """A worker did not come to the end of the backlog in time."""


@dataclass
class FraudWorker:
    """A fraud process, from the moment when it has its tasks."""

    servers: Servers
    app: str
    command: str
    """run, normalise or detect."""
    rules: str | None = RULE
    """A file's text; None: the shipped rules."""
    drift_seconds: float = FraudSettings().fraud_drift_seconds
    port: int = field(default_factory=free_port)
    share: float = 0.0
    """Of a core, which is all that the process gets; 0: as much as there is."""

    def __post_init__(self) -> None:
        name = f"{self.app}-{self.command}-{self.port}"
        settings = {"FRAUD_APP": self.app, "FRAUD_METRICS_PORT": str(self.port)}
        settings["FRAUD_DRIFT_SECONDS"] = str(self.drift_seconds)
        if self.rules is not None:
            settings["FRAUD_RULES"] = str(self.servers.home / "rules.toml")
            Path(settings["FRAUD_RULES"]).write_text(self.rules, encoding="utf-8")
        self._child = self.servers.start(name, [sys.executable, "-m", "fraud", self.command], **settings)
        self._process = psutil.Process(self._child.process.pid)
        self._stopping = Event()
        if self.share:
            self._holding = Thread(target=self._hold, daemon=True)
            self._holding.start()
        self._await_ready()

    def cpu_seconds(self) -> float:
        """User and system, since the process began."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def resident(self) -> int:
        """Bytes of memory."""
        return int(self._process.memory_info().rss)

    def figures(self) -> Counter[tuple[str, str]]:
        """Its metrics by name and stage or rule, added up over the other labels."""
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics", trust_env=False, timeout=30).text
        sums: Counter[tuple[str, str]] = Counter()
        for name, label, value in _SAMPLE.findall(text):
            sums[name, label] += float(value)  # type: ignore[assignment]
        return sums

    def read(self, stage: str) -> float:
        """Records that a stage has read and committed."""
        return self.figures()["underten_records_read_total", stage]

    def await_tasks(self, stage: str, count: int) -> None:
        """Wait until it runs so many tasks of a stage; raises NotThrough."""
        until = time.monotonic() + TASKS_SECONDS
        while self.figures()["underten_tasks", stage] != count:
            if time.monotonic() > until:
                raise NotThrough(f"a worker has not {count} tasks of {stage} after {TASKS_SECONDS:.0f} s")
            time.sleep(ASK_SECONDS)

    def _hold(self) -> None:
        """Stop the process (SIGSTOP) whenever it has had its share, and let it go on once that has grown.

        What it did not use while it waited is not kept for later.
        """
        at, used, credit, stopped = time.monotonic(), 0.0, 0.0, False
        with suppress(psutil.NoSuchProcess):
            while not self._stopping.wait(HOLD_SECONDS):
                now, cpu = time.monotonic(), self.cpu_seconds()
                credit = min(credit + self.share * (now - at), MAX_CREDIT_SECONDS) - (cpu - used)
                at, used, ahead = now, cpu, credit < 0
                if ahead != stopped:
                    (self._process.suspend if ahead else self._process.resume)()
                    stopped = ahead
            self._process.resume()

    def stop(self) -> None:
        """End it."""
        self._stopping.set()
        if self.share:
            self._holding.join()
        self._child.stop()

    @stamina.retry(on=httpx.HTTPError, timeout=120, wait_max=0.2, attempts=None)
    def _await_ready(self) -> None:
        self._child.check()
        httpx.get(f"http://127.0.0.1:{self.port}/health/ready", trust_env=False, timeout=5).raise_for_status()


def await_read(workers: list[FraudWorker], stage: str, records: int, seconds: float) -> float:
    """When they have read so many records together, in monotonic seconds; raises NotThrough."""
    until = time.monotonic() + seconds
    while sum(worker.read(stage) for worker in workers) < records:
        if time.monotonic() > until:
            raise NotThrough(f"{stage} has not read {records:,} records within {seconds:.0f} s")
        time.sleep(ASK_SECONDS)
    return time.monotonic()

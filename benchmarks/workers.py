"""Fraud's own processes at work on a backlog: how far they are, and what that took them."""

import asyncio
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import stamina
from aiokafka import TopicPartition

from benchmarks.cpu import cpu_limit, cpu_seconds
from benchmarks.servers import Servers
from compose.addresses import free_port
from fraud.settings import FraudSettings
from schemas.errors import UndertenError
from schemas.kafka.groups import consumer_groups
from schemas.kafka.settings import KafkaSettings

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
COMMITS_SECONDS = 0.05
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
    """Share of a core, which is all that the process gets; 0: as much as there is."""

    def __post_init__(self) -> None:
        name = f"{self.app}-{self.command}-{self.port}"
        settings = {"FRAUD_APP": self.app, "FRAUD_METRICS_PORT": str(self.port)}
        settings["FRAUD_DRIFT_SECONDS"] = str(self.drift_seconds)
        if self.rules is not None:
            settings["FRAUD_RULES"] = str(self.servers.home / "rules.toml")
            Path(settings["FRAUD_RULES"]).write_text(self.rules, encoding="utf-8")
        self._child = self.servers.start(name, [sys.executable, "-m", "fraud", self.command], **settings)
        self._process = psutil.Process(self._child.process.pid)
        self._limits = ExitStack()
        if self.share:
            self._limits.enter_context(cpu_limit([self._process], self.share))
        self._await_ready()

    def cpu_seconds(self) -> float:
        """User and system, since the process began."""
        return cpu_seconds(self._process)

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

    def stop(self) -> None:
        """End it."""
        self._limits.close()
        self._child.stop()

    @stamina.retry(on=httpx.HTTPError, timeout=120, wait_max=0.2, attempts=None)
    def _await_ready(self) -> None:
        self._child.check()
        httpx.get(f"http://127.0.0.1:{self.port}/health/ready", trust_env=False, timeout=5).raise_for_status()


def await_read(workers: list[FraudWorker], stage: str, records: int, seconds: float) -> float:
    """Wait until they have read so many records together; return when, in monotonic seconds. Raises NotThrough."""
    until = time.monotonic() + seconds
    while sum(worker.read(stage) for worker in workers) < records:
        if time.monotonic() > until:
            raise NotThrough(f"{stage} has not read {records:,} records within {seconds:.0f} s")
        time.sleep(ASK_SECONDS)
    return time.monotonic()


async def committed_rate(kafka: KafkaSettings, group: str, topic: str, records: int, seconds: float) -> float:
    """Records of a topic that the members of a group commit in a second together; raises NotThrough.

    Watches the group until it has committed so many. It commits some thousand at a time, so each partition counts from
    the first of its commits that is seen to the last; and nobody is asked but Kafka, since answers cost CPU.
    """
    commits: defaultdict[TopicPartition, list[tuple[float, int]]] = defaultdict(list)
    until = time.monotonic() + seconds
    while sum(history[-1][1] for history in commits.values()) < records:
        if time.monotonic() > until:
            raise NotThrough(f"{group} has not committed {records:,} records within {seconds:.0f} s")
        await asyncio.sleep(COMMITS_SECONDS)
        offsets = (await consumer_groups(kafka, [group]))[group].offsets
        now = time.monotonic()
        for partition, offset in offsets.items():
            if partition.topic == topic:
                history = commits[partition]
                if not history or offset != history[-1][1]:
                    history.append((now, offset))
    return sum(_rate(history[1:]) for history in commits.values())


def _rate(commits: Sequence[tuple[float, int]]) -> float:
    """Offsets a second, from the first to the last of a partition's commits; raises NotThrough where that is one."""
    if len(commits) < 2:
        raise NotThrough("too few commits were seen to tell a rate")
    (began, first), (ended, last) = commits[0], commits[-1]
    return (last - first) / (ended - began)

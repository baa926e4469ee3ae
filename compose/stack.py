"""The local stack: Kafka, the schema registry, fraud and the service, as one thing that starts and ends."""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Literal

import httpx
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from compose.addresses import check_free, free_port, port_of, port_of_url
from compose.child import Child, await_condition
from compose.engine import start_engine
from compose.kafka import start_kafka
from compose.parts import fetch
from compose.registry import API, start_registry
from compose.respawn import Respawned
from fraud.rules import load
from fraud.settings import EngineChoice, EngineSettings, InstallationSettings, RulesSettings
from schemas.errors import SettingsError

READY_SECONDS = 60.0
WATCH_SECONDS = 0.2


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class HomeSettings:
    """Folder of the local stack."""

    stack_home: Path = Path(".local")
    """Folder of the downloaded parts, all data, and the logs."""

    def __post_init__(self) -> None:
        """Raises SettingsError for a folder in which the servers cannot live: lists of paths are parted by these."""
        home = self.stack_home.resolve()
        if any(sign in str(home) for sign in ",:;"):
            raise SettingsError(f"stack_home {home}: no comma, colon or semicolon may be in the name of the folder")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class StackSettings(HomeSettings, RulesSettings, InstallationSettings, EngineSettings):
    """Addresses of the local stack's parts; always on this machine alone."""

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    """Address of Kafka."""

    schema_registry_url: str = f"http://127.0.0.1:8081{API}"
    """Address of the schema registry."""

    service_host: str = "127.0.0.1"
    """Host of the service."""

    service_port: int = 8000
    """Port of the service."""

    service_tls_certificate: Path | None = None
    """PEM file with the service's certificate; with it, the service is at https."""

    service_tls_key: Path | None = None
    """PEM file with the certificate's key, not encrypted."""

    fraud_metrics_host: str = "127.0.0.1"
    """Host of fraud's metrics."""

    fraud_metrics_port: int = 8001
    """Port of fraud's metrics."""

    ksqldb_url: str | None = None
    """Address of a ksqlDB to compare with. Without it the rules run on Kafka Streams, too, unless ENGINE is none."""

    only: Literal["all", "servers"] = "all"
    """servers: Kafka and the schema registry alone."""

    @property
    def second_engine(self) -> EngineChoice:
        """The engine that Python is compared with."""
        return self.engine or ("ksqldb" if self.ksqldb_url else "streams")

    @property
    def runs_streams(self) -> bool:
        """True if the rules run on Kafka Streams here."""
        return self.only == "all" and self.second_engine == "streams"

    @property
    def service_url(self) -> str:
        """Address of the service."""
        scheme = "https" if self.service_tls_certificate else "http"
        return f"{scheme}://{self.service_host}:{self.service_port}"

    @property
    def environment(self) -> dict[str, str]:
        """Environment of this project's processes."""
        # What is on this machine is reached without a proxy, whatever the environment says for the rest.
        proxied = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        direct = ",".join(filter(None, [proxied, "127.0.0.1", "localhost"]))
        variables = {
            "NO_PROXY": direct,
            "no_proxy": direct,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap_servers,
            "SCHEMA_REGISTRY_URL": self.schema_registry_url,
            "SERVICE_HOST": self.service_host,
            "SERVICE_PORT": self.service_port,
            "SERVICE_TLS_CERTIFICATE": self.service_tls_certificate,
            "SERVICE_TLS_KEY": self.service_tls_key,
            "FRAUD_METRICS_HOST": self.fraud_metrics_host,
            "FRAUD_METRICS_PORT": self.fraud_metrics_port,
            "KSQLDB_URL": self.ksqldb_url,
            "ENGINE": self.second_engine,
            "QUEUE_VIEW": os.environ.get("QUEUE_VIEW", self.stack_home / "review_queue.sqlite"),
        }
        return {name: str(value) for name, value in variables.items() if value is not None}


class Stopped(KeyboardInterrupt):
    """Somebody asked for the end: Ctrl-C, SIGTERM, or a terminal that was closed.

    A KeyboardInterrupt, because asyncio lets nothing else through that a signal handler raises inside a callback.
    """


def up(settings: StackSettings) -> None:
    """Start everything, say where it is, and start again what ends, until somebody asks for the end.

    Raises SettingsError, PartsError, and ChildDied where a part ends before all are there; whatever was started has
    ended by then.
    """
    screen = Console(stderr=True, highlight=False)
    with _signals_as_exceptions(), _alone(settings.stack_home), ExitStack() as running:
        try:
            began = time.monotonic()
            parts = [*_start(settings, screen, running), *_start_engine(settings, screen, running)]
            _show(settings, screen, time.monotonic() - began)
            while True:
                for part in parts:
                    part.tend()
                time.sleep(WATCH_SECONDS)
        except Stopped:
            screen.print("stopping")


def _start(settings: StackSettings, screen: Console, running: ExitStack) -> list[Respawned]:
    home, logs = settings.stack_home.resolve(), settings.stack_home.resolve() / "logs"
    kafka_port = port_of(settings.kafka_bootstrap_servers, "KAFKA_BOOTSTRAP_SERVERS")
    registry_port = port_of_url(settings.schema_registry_url, API, "SCHEMA_REGISTRY_URL")
    _check_ports(settings, kafka_port, registry_port)
    fetch(home / "parts", streams=settings.runs_streams)
    for log in logs.glob("*.log"):
        log.unlink()
    parts: list[Respawned] = []

    def started(start: Callable[[], Child]) -> Child:
        parts.append(_respawned(start, screen, running))
        return parts[-1].child

    screen.print("starting Kafka")
    started(
        lambda: start_kafka(
            home / "kafka",
            port=kafka_port,
            controller_port=free_port(),
            parts=home / "parts",
            log=logs / "kafka.log",
        )
    )
    screen.print("starting the schema registry")
    started(
        lambda: start_registry(home / "registry", port=registry_port, parts=home / "parts", log=logs / "registry.log")
    )
    if settings.only == "all":
        screen.print("starting fraud and the service")
        fraud = started(lambda: _program("fraud", ["fraud", "run"], settings))
        service = started(lambda: _program("the service", ["service"], settings))
        children = [part.child for part in parts]
        detects = f"http://{settings.fraud_metrics_host}:{settings.fraud_metrics_port}/health/ready"
        await_condition("both stages had their tasks", _ok(detects), fraud, READY_SECONDS, children)
        await_condition("it was ready", _ok(f"{settings.service_url}/health/ready"), service, READY_SECONDS, children)
    return parts


def _start_engine(settings: StackSettings, screen: Console, running: ExitStack) -> list[Respawned]:
    """The second engine, last and without waiting for it: nothing else needs it."""
    if not settings.runs_streams:
        return []
    home = settings.stack_home.resolve()
    rules = load(settings.fraud_rules)

    def start() -> Child:
        return start_engine(
            home,
            kafka=settings.kafka_bootstrap_servers,
            registry=settings.schema_registry_url,
            app=settings.fraud_app,
            rules=rules,
            log=home / "logs" / "streams.log",
        )

    screen.print("starting the second engine")
    return [_respawned(start, screen, running)]


def _respawned(start: Callable[[], Child], screen: Console, running: ExitStack) -> Respawned:
    part = Respawned(start, partial(screen.print, soft_wrap=True))
    running.callback(part.stop)
    return part


def _check_ports(settings: StackSettings, kafka_port: int, registry_port: int) -> None:
    ports = [
        ("127.0.0.1", kafka_port, "Kafka", "KAFKA_BOOTSTRAP_SERVERS"),
        ("127.0.0.1", registry_port, "the schema registry", "SCHEMA_REGISTRY_URL"),
    ]
    if settings.only == "all":
        ports += [
            (settings.service_host, settings.service_port, "the service", "SERVICE_PORT"),
            (settings.fraud_metrics_host, settings.fraud_metrics_port, "fraud's metrics", "FRAUD_METRICS_PORT"),
        ]
    first: dict[int, str] = {}
    for host, port, what, setting in ports:
        if port in first:
            raise SettingsError(f"port {port} is for {first[port]} and for {what}; choose another with {setting}")
        first[port] = what
        check_free(port, what, setting, host)


def _program(name: str, module: list[str], settings: StackSettings) -> Child:
    log = settings.stack_home.resolve() / "logs" / f"{module[0]}.log"
    return Child(name, [sys.executable, "-m", *module], log, settings.environment)


def _ok(url: str) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            # Whoever signed its certificate, and for which name: the process there was started here.
            return httpx.get(url, timeout=2.0, trust_env=False, verify=False).status_code == httpx.codes.OK  # noqa: S501
        except httpx.HTTPError:
            return False

    return answers


def _show(settings: StackSettings, screen: Console, seconds: float) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    if settings.only == "all":
        service = settings.service_url
        table.add_row("review queue", f"{service}/")
        table.add_row("documentation", f"{service}/docs")
        table.add_row("metrics", f"{service}/metrics")
        table.add_row("", f"http://{settings.fraud_metrics_host}:{settings.fraud_metrics_port}/metrics")
    table.add_row("Kafka", settings.kafka_bootstrap_servers)
    table.add_row("schema registry", settings.schema_registry_url)
    table.add_row("second engine", _named(settings))
    table.add_row("logs", str(settings.stack_home / "logs"))
    screen.print(f"\nUnderten is up, after {seconds:.0f} s. Ctrl-C ends it; what it holds is kept.\n")
    screen.print(table)


def _named(settings: StackSettings) -> str:
    if settings.runs_streams:
        return "Kafka Streams (KSQLDB_URL names a ksqlDB instead)"
    return f"ksqlDB at {settings.ksqldb_url}" if settings.second_engine == "ksqldb" else "none"


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Keeps a second stack out of the folder; raises SettingsError if there is one."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"a stack runs on {home} already; another folder is chosen with STACK_HOME") from None
        yield


@contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    def kill(number: int, frame: FrameType | None) -> None:
        os._exit(128 + number)  # do not wait any longer: the kernel ends the children (`compose.tether`)

    def stop(number: int, frame: FrameType | None) -> None:
        for caught in before:  # a terminal that closes may say so twice: that is no impatience
            signal.signal(caught, signal.SIG_IGN if caught is signal.SIGHUP else kill)
        raise Stopped

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup: stay when the terminal is closed
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

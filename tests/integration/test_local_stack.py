"""The local stack starts, ends, and says in one line what is in its way. Kafka and the registry stand for all parts."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from compose.addresses import free_port
from compose.registry import API
from tests.conftest import PARTS
from tests.integration.processes import until

START = [sys.executable, "-m", "compose", "up", "--only", "servers"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A stack's folder that has the downloaded parts already."""
    (tmp_path / "parts").symlink_to(PARTS)
    return tmp_path


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "STACK_HOME": str(home),
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "SCHEMA_REGISTRY_URL": f"http://127.0.0.1:{free_port()}{API}",
    }


@contextmanager
def started(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    log = Path(environment["STACK_HOME"], "up.log")
    with log.open("wb") as output, subprocess.Popen(START, env=environment, stderr=output) as stack:
        try:
            yield stack
        finally:
            stack.kill()


async def is_up(home: Path) -> bool:
    return "Underten is up" in (home / "up.log").read_text()


def processes_of(home: Path) -> dict[int, str]:
    """Command lines of processes that work in the folder, by their ids."""
    commands = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(home) in command and int(process.name) != os.getpid():
            commands[int(process.name)] = command
    return commands


@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux alone")
async def test_what_was_started_ends_with_the_stack_even_if_that_is_killed_and_starts_again_with_its_data(
    home: Path, environment: dict[str, str]
) -> None:
    async def nothing_left() -> bool:
        return not processes_of(home)

    with started(environment) as stack:
        await until(lambda: is_up(home), 90)
        cluster = (home / "kafka" / "data" / "meta.properties").read_text()
        stack.kill()
        await until(nothing_left, 10)
    with started(environment) as stack:
        await until(lambda: is_up(home), 90)
        assert (home / "kafka" / "data" / "meta.properties").read_text() == cluster
        assert len(processes_of(home)) >= 2
        stack.send_signal(signal.SIGINT)
        assert stack.wait(30) == 0
        await until(nothing_left, 10)


@pytest.mark.timeout(300)
async def test_what_dies_is_started_again(home: Path, environment: dict[str, str]) -> None:
    with started(environment):
        await until(lambda: is_up(home), 90)
        before = processes_of(home)
        for process in before:
            os.kill(process, signal.SIGKILL)

        async def others_listen() -> bool:
            # A port of what was killed may answer for a moment more.
            said = (home / "up.log").read_text()
            if not all(f"{name} ended with status -9" in said for name in ("Kafka", "the schema registry")):
                return False
            addresses = environment["KAFKA_BOOTSTRAP_SERVERS"], urlsplit(environment["SCHEMA_REGISTRY_URL"]).netloc
            for host, port in (address.split(":") for address in addresses):
                try:
                    socket.create_connection((host, int(port))).close()
                except OSError:
                    return False
            return True

        await until(others_listen, 120)
        assert not before.keys() & processes_of(home).keys()


def test_a_port_that_is_taken_is_one_line_that_names_the_setting(environment: dict[str, str], home: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        environment["SCHEMA_REGISTRY_URL"] = f"http://127.0.0.1:{port}{API}"
        ended = subprocess.run(START, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert str(port) in line
    assert "SCHEMA_REGISTRY_URL" in line
    assert not processes_of(home)


def test_a_file_that_is_not_the_pinned_one_is_not_run(environment: dict[str, str], home: Path) -> None:
    (home / "parts").unlink()
    environment["M2_REPO"] = str(home / "m2")
    pinned = Path("compose/parts.toml").read_text()
    script = (
        "import compose.parts as parts, compose.__main__ as main, msgspec, sys\n"
        "real = parts.locked\n"
        "def other():\n"
        "    found = real()\n"
        "    found['kafka'] = [msgspec.structs.replace(found['kafka'][0], sha256='0' * 64)]\n"
        "    return found\n"
        "parts.locked = other\n"
        "sys.argv = ['compose', 'up', '--only', 'servers']\n"
        "sys.exit(main.main())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "checksum" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert not list((home / "parts").glob("*.jar"))
    assert Path("compose/parts.toml").read_text() == pinned

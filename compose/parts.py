"""The parts of servers and comparisons: Kafka, schema registry, Kafka Streams, a compiler. Pinned, downloaded once.

`parts.toml` names each file with its SHA-256 and size: what was resolved once, and nothing else, is what runs.
`python -m compose lock` writes it anew after a version below was changed.
"""

import fcntl
import hashlib
import shutil
import tarfile
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from threading import Event

import jgo
import msgspec
import requests
import structlog
from jgo.maven import Artifact, MavenContext, PythonResolver
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from schemas.errors import UndertenError, reason_of

KAFKA = "4.1.0"
REGISTRY = "3.0.9"
SLF4J = "1.7.36"
JACKSON = "2.19.0"
AVRO = "1.12.2"
WIRE = "6.4.7"
COMPILER = "3.45.0"
ENDPOINTS = {
    "kafka": f"org.apache.kafka:kafka_2.13:{KAFKA}+org.slf4j:slf4j-simple:{SLF4J}",
    "streams": (
        f"org.apache.kafka:kafka-streams-test-utils:{KAFKA}+org.slf4j:slf4j-simple:{SLF4J}"
        f"+com.fasterxml.jackson.core:jackson-databind:{JACKSON}+com.fasterxml.jackson.core:jackson-core:{JACKSON}"
        f"+org.apache.avro:avro:{AVRO}+com.squareup.wire:wire-schema-jvm:{WIRE}"
    ),
    "compiler": f"org.eclipse.jdt:ecj:{COMPILER}",
}
REGISTRY_ARCHIVE = ("io.apicurio", "apicurio-registry-app", REGISTRY, "all", "tar.gz")
TIMEOUT_SECONDS = 20  # without a byte
AT_ONCE = 6

log = structlog.get_logger(__name__)


class PartsError(UndertenError):
    """A part could not be had, or is not what it should be."""


class Part(msgspec.Struct, frozen=True):
    """A file. `size` in bytes."""

    group: str
    name: str
    version: str
    sha256: str
    size: int
    classifier: str = ""
    packaging: str = "jar"

    @property
    def file(self) -> str:
        """Its name here."""
        suffix = f"-{self.classifier}" if self.classifier else ""
        return f"{self.name}-{self.version}{suffix}.{self.packaging}"


def locked() -> dict[str, list[Part]]:
    """The parts of each server, as `parts.toml` has them."""
    text = resources.files("compose").joinpath("parts.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, list[Part]])


def fetch(home: Path, *, streams: bool) -> None:
    """Everything that the stack runs, below `home`: downloads what is missing, in one go. Raises PartsError.

    `streams`: also what the second engine on Kafka Streams is compiled and run with.
    """
    parts = locked()
    with _alone(home):
        [registry] = parts["registry"]
        needed = [*parts["kafka"], *([] if _unpacked(registry, home).exists() else [registry])]
        if streams:
            needed += [*parts["streams"], *parts["compiler"]]
        _ensure(list(dict.fromkeys(needed)), home)
    registry_jar(home)


def jars(server: str, home: Path) -> list[Path]:
    """The class path of `kafka` or `streams`, below `home`; downloads what is missing. Raises PartsError."""
    with _alone(home):
        return _ensure(locked()[server], home)


def registry_jar(home: Path) -> Path:
    """The schema registry's jar, unpacked below `home`; downloads it if it is missing. Raises PartsError."""
    [part] = locked()["registry"]
    unpacked = _unpacked(part, home)
    with _alone(home):
        if not unpacked.exists():
            [archive] = _ensure([part], home)
            unpacking = unpacked.with_suffix(".unpacking")
            shutil.rmtree(unpacking, ignore_errors=True)
            with tarfile.open(archive) as tar:
                tar.extractall(unpacking, filter="data")
            unpacking.rename(unpacked)
            archive.unlink()
    return unpacked / f"{part.name}-{part.version}-runner.jar"


def _unpacked(part: Part, home: Path) -> Path:
    return home / f"{part.name}-{part.version}"


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """The stack and the tests may want the same parts at the same time: the second waits for the first."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        yield


def _ensure(parts: list[Part], home: Path) -> list[Path]:
    missing = [part for part in parts if not _is_whole(home / part.file, part.size)]
    if missing:
        _check_room(missing, home)
        _download(missing, home)
    return [home / part.file for part in parts]


def _is_whole(file: Path, size: int) -> bool:
    """True for a file of the right size.

    It was verified when it came; a disk that lost power or ran full since then shows in the size.
    """
    return file.exists() and file.stat().st_size == size


def _check_room(parts: list[Part], home: Path) -> None:
    needed = 3 * sum(part.size for part in parts)  # the archive, unpacked, and room for data
    free = shutil.disk_usage(home).free
    if free < needed:
        raise PartsError(f"not enough disk: {home} needs {needed // 2**20} MiB, {free // 2**20} MiB are free")


def _download(parts: list[Part], home: Path) -> None:
    incoming = home / "incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress, ThreadPoolExecutor(AT_ONCE) as pool:
        task = progress.add_task(f"downloading {len(parts)} parts", total=sum(part.size for part in parts))
        ended = Event()

        def advance(count: int) -> None:
            if ended.is_set():  # Ctrl-C, or another part failed: do not wait for what is still under way
                raise PartsError("the download was stopped")
            progress.advance(task, count)

        @contextmanager
        def reporting(_file: str, _size: int) -> Iterator[Callable[[int], None]]:
            yield advance

        resolver = PythonResolver(progress_callback=reporting)
        context = MavenContext(resolver, repo_cache=incoming, timeout=TIMEOUT_SECONDS)
        downloads = [pool.submit(_fetch, part, context, home) for part in parts]
        try:
            for download in downloads:
                download.result()
        except BaseException:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    shutil.rmtree(incoming, ignore_errors=True)


def _fetch(part: Part, context: MavenContext, home: Path) -> None:
    """Download beside, verify, and only then put in place: what stands there is whole and right."""
    artifact = context.project(part.group, part.name).at_version(part.version).artifact(part.classifier, part.packaging)
    try:
        file = artifact.resolve()
    except (requests.RequestException, RuntimeError, OSError) as error:
        raise PartsError(
            f"cannot download {part.file}: {_cause(error)}; check network and disk and try again, what has come is kept"
        ) from error
    if _sha256(file) != part.sha256:
        raise PartsError(f"{part.file} is not the file that was pinned: its checksum differs; nothing was started")
    file.replace(home / part.file)


def _cause(error: BaseException) -> str:
    """Root of an error ("[Errno 111] Connection refused"): libraries wrap it in pages of their own."""
    while error.__context__ is not None:
        error = error.__context__
    return reason_of(error).splitlines()[0][:200]


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def lock(home: Path) -> str:
    """`parts.toml` for the versions above: resolves and downloads everything."""
    context = MavenContext(repo_cache=home / "lock", timeout=TIMEOUT_SECONDS)
    sections = {name: jgo.resolve(endpoint) for name, endpoint in ENDPOINTS.items()}
    group, name, version, classifier, packaging = REGISTRY_ARCHIVE
    sections["registry"] = [context.project(group, name).at_version(version).artifact(classifier, packaging)]
    lines = ["# Written by `python -m compose lock`.\n"]
    for section, artifacts in sections.items():
        lines += [f"{section} = ["]
        lines += [_locked_line(artifact, context) for artifact in sorted(artifacts, key=str)]
        lines += ["]\n"]
    return "\n".join(lines)


def _locked_line(artifact: Artifact, context: MavenContext) -> str:
    component = context.project(artifact.groupId, artifact.artifactId).at_version(artifact.version)
    file = component.artifact(artifact.classifier, artifact.packaging).resolve()
    fields = {
        "group": artifact.groupId,
        "name": artifact.artifactId,
        "version": artifact.version,
        "classifier": artifact.classifier,
        "packaging": artifact.packaging,
        "sha256": _sha256(file),
    }
    text = ", ".join(f'{name} = "{value}"' for name, value in fields.items() if value and value != "jar")
    return f"  {{ {text}, size = {file.stat().st_size} }},"

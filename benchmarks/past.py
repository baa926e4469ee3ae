"""Payments of a made-up past, as `locust/history.py` writes them: the mix of an ordinary bank."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def lines(truth: Path, **options: object) -> Iterator[bytes]:
    """Payments as JSON, in their order; `truth` is the file for their patterns, `options` are the program's flags."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in {**options, "truth": truth}.items()]
    command = [sys.executable, "locust/history.py", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as history:  # noqa: S603 - our own program
        assert history.stdout is not None
        yield from history.stdout
    if history.returncode:
        raise subprocess.CalledProcessError(history.returncode, command)

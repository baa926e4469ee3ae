"""Files that are mapped into memory have their disk before: a full one ends whoever writes to what is not there."""

import os
from pathlib import Path


def allocate(file: Path, size: int) -> None:
    """Have so many bytes of a file on the disk, zeros where there were none; raises OSError."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
    finally:
        os.close(descriptor)

"""Virtual environments for peers, whose needs do not go together with ours: made once, from locks with hashes."""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.running import PeerMissing

LOCKS = Path(__file__).parent
HOME = Path(".local/peers")
INSTALL_SECONDS = 600.0


def environment(name: str, home: Path = HOME) -> Path:
    """The Python that has what `NAME.txt` beside this module locks. Raises PeerMissing."""
    lock = LOCKS / f"{name}.txt"
    place = home / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    python, complete = place.absolute() / "bin" / "python", place / "made"
    home.mkdir(parents=True, exist_ok=True)
    with (home / f"{name}.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not complete.exists():
            _run(name, [sys.executable, "-m", "venv", "--clear", str(place)])
            pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
            _run(name, [*pip, "--only-binary", ":all:", "--require-hashes", "--requirement", str(lock)])
            complete.touch()
    return python


def _run(name: str, command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)  # noqa: S603
    except subprocess.CalledProcessError as error:
        complaint = error.stderr.strip().splitlines() or ["it does not say why"]
        raise PeerMissing(f"{name} cannot be installed: {complaint[-1]}") from error
    except (subprocess.TimeoutExpired, OSError) as error:
        raise PeerMissing(f"{name} cannot be installed: {error}") from error

"""The peers in Python, each in an environment of its own."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.peers.environments import environment
from benchmarks.peers.running import Peer

HERE = Path(__file__).parent


def command(name: str, _: Path) -> Sequence[str]:
    """The peer's Python, and its program. Raises PeerMissing."""
    return [str(environment(name)), str(HERE / f"{name}_peer.py")]


QUIX = Peer("quix", "Quix Streams", partial(command, "quix"))
FAUST = Peer("faust", "Faust", partial(command, "faust"))

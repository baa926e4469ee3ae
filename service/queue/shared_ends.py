"""The ends of `review_decisions` as far as the processes of one port have written it, in a file that they share.

A reviewer decides over one connection and looks over another, which another process may serve. So whoever reads waits
until its own view holds what any of them has written. In memory (mmap), so that looking costs nothing.
"""

import fcntl
import mmap
from collections.abc import Mapping
from pathlib import Path

from service.mapped_files import allocate

MAX_PARTITIONS = 1024
_BYTES = 8


class SharedEnds:
    """Offsets after the last decision, by partition; a file for each topic id, as another topic begins at 0.

    Methods raise OSError, as where the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maps: dict[str, mmap.mmap] = {}

    def put(self, topic_id: str, ends: Mapping[int, int]) -> None:
        """Move partitions' ends forward."""
        shared = self._map(topic_id)
        with (self._folder / f"{topic_id}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            offsets = memoryview(shared).cast("Q")
            for partition, end in ends.items():
                if partition < MAX_PARTITIONS:
                    offsets[partition] = max(offsets[partition], end)
            offsets.release()

    def get(self, topic_id: str) -> dict[int, int]:
        """Return the ends of the partitions that have any."""
        offsets = memoryview(self._map(topic_id)).cast("Q")
        ends = {partition: end for partition, end in enumerate(offsets) if end}
        offsets.release()
        return ends

    def close(self) -> None:
        """Close the files."""
        for shared in self._maps.values():
            shared.close()
        self._maps.clear()

    def _map(self, topic_id: str) -> mmap.mmap:
        if topic_id not in self._maps:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._folder / topic_id
            allocate(file, MAX_PARTITIONS * _BYTES)
            with file.open("r+b") as handle:
                self._maps[topic_id] = mmap.mmap(handle.fileno(), MAX_PARTITIONS * _BYTES)
        return self._maps[topic_id]

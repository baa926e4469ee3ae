"""`python -m benchmarks.sampled_service FILE`: the service, its CPU sampled by layer, from SIGUSR1 to its end.

The kernel signals every millisecond of CPU time that the process takes. A sample belongs to the innermost frame of the
stack that is in a layer: C code counts for the Python code that called it.
"""

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

from service.__main__ import main

INTERVAL_SECONDS = 0.001
LAYERS = {
    "aiohttp/web_protocol.py:data_received": "HTTP parser",
    "aiohttp/streams.py": "HTTP parser",
    "yarl/": "HTTP parser",
    "aiohttp/web_response.py": "response",
    "aiohttp/http_writer.py": "response",
    "service/http/responses.py": "response",
    "service/http/exchange_connection.py:send_response": "response",
    "aiohttp/": "aiohttp's connection and request",
    "service/http/": "middleware",
    "service/access/": "middleware",
    "service/metrics.py": "middleware",
    "prometheus_client/": "middleware",
    "service/payments/": "handler, decoding, encoding",
    "schemas/": "handler, decoding, encoding",
    "fastavro/": "handler, decoding, encoding",
    "google/": "handler, decoding, encoding",
    "service/idempotency/": "deduplication",
    "service/producer/": "producer",
    "aiokafka/": "aiokafka",
}
"""Layers by what a frame's file, and after a colon its function, contains; the first that fits."""
OTHER = "event loop, and all else"


def layer_of(code: CodeType) -> str | None:
    """Find a frame's layer by its code."""
    name = f"{code.co_filename}:{code.co_name}"
    for part, layer in LAYERS.items():
        file, _, function = part.partition(":")
        if f"/{file}" in name and name.endswith(function):
            return layer
    return None


class Sampler:
    """Samples of the process, by layer."""

    def __init__(self) -> None:
        self.samples: Counter[str] = Counter()
        self._layers: dict[CodeType, str | None] = {}

    def start(self, number: int, frame: FrameType | None) -> None:
        """Sample from now on; a handler of a signal."""
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_SECONDS, INTERVAL_SECONDS)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        while frame is not None:
            code = frame.f_code
            if code not in self._layers:
                self._layers[code] = layer_of(code)
            if layer := self._layers[code]:
                self.samples[layer] += 1
                return
            frame = frame.f_back
        self.samples[OTHER] += 1


def run(file: Path) -> int:
    """Serve; write the samples after the drain."""
    sampler = Sampler()
    signal.signal(signal.SIGUSR1, sampler.start)
    status = main()
    file.write_text(json.dumps(sampler.samples))
    return status


if __name__ == "__main__":
    output = Path(sys.argv.pop())
    sys.exit(run(output))

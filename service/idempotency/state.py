"""The state of a process's receipts, shared by those that keep them and those that read them from the topics.

               read from the topics
    starting ───────────────────────▶ ready      payments are taken
        ▲                               │
        └───────────────────────────────┘
               another process threw the files away

Apart from that, receipts are `usable` unless the files are damaged or the disk is full: then payments go on without.
"""

import asyncio

import structlog

log = structlog.get_logger(__name__)


class ReceiptState:
    """The state; `uncertain` is set where only the topics can tell what became of payments."""

    def __init__(self) -> None:
        self.ready = False
        self.usable = True
        self.resets = 0
        """Times that the log was thrown away, here or by another process."""
        self.lost = 0
        """Receipts that could not be kept."""
        self.uncertain = asyncio.Event()

    def reset(self) -> None:
        """Take nothing until the topics were read."""
        self.ready = False
        self.resets += 1

    def finish(self, resets: int) -> None:
        """Take payments: the topics were read to their ends; `resets` as they were before.

        If the log was thrown away meanwhile, not all that was found is in it, and nothing is taken yet.
        """
        self.ready = self.ready or resets == self.resets

    def fail(self, error: Exception) -> None:
        """Go on without receipts until they are read from the topics again."""
        log.error("receipts are not kept: payments that are sent again may be produced again", reason=str(error))
        self.usable = False
        self.uncertain.set()

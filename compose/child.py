"""A child process that does not outlive its parent, whatever becomes of the parent.

The supervisors on PyPI (honcho, circus, supervisor) end their children when they are asked to end; none does when it
is killed. Here the kernel does it, see `compose.tether`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from schemas.errors import UndertenError

TETHER = Path(__file__).with_name("tether.py")
STOP_SECONDS = 15.0
KILL_SECONDS = 5.0
LAST_LINES = 15


class ChildDied(UndertenError):
    """A child ended that should have gone on."""


class Child:
    """A program with its output in a log file. `process` may be signalled (SIGSTOP, SIGKILL) by tests of faults.

    It ends with the *thread* that started it, because that is what the kernel watches: start it from one that stays.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Open its log, in which it goes on after an earlier child."""
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own programs
                [sys.executable, str(TETHER), str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                process_group=0,  # Ctrl-C goes to the parent alone, which ends its children in order
            )

    def check(self) -> None:
        """Raises ChildDied, with the end of its log, if it has ended."""
        status = self.process.poll()
        if status is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
            raise ChildDied("\n".join([f"{self.name} ended with status {status}; its log is {self.log}:", *lines]))

    def finish(self, seconds: float) -> None:
        """Wait until it has ended by itself, with status 0.

        Raises ChildDied if its status is another one, or it has not ended after so many seconds.
        """
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ChildDied(f"{self.name}: not through after {seconds:.0f} s; its log is {self.log}") from None
        if status != 0:
            self.check()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask it to end (SIGTERM), and kill it where it has not after that long."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(KILL_SECONDS)


def await_condition(
    what: str, condition: Callable[[], bool], child: Child, seconds: float, others: Sequence[Child] = ()
) -> None:
    """Wait until the condition holds.

    Raises ChildDied if the child, or one of the others, ended before, or it does not hold after so many seconds.
    """
    until = time.monotonic() + seconds
    while not condition():
        for process in (child, *others):
            process.check()
        if time.monotonic() > until:
            raise ChildDied(f"{child.name}: {seconds:.0f} s are over before {what}; its log is {child.log}")
        time.sleep(0.05)

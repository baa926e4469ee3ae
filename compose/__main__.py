"""`python -m compose`: the local stack."""

import signal
import sys

from schemas.cli import exit_status


def main() -> int:
    """The exit status: 0 after Ctrl-C, 1 with one clear line where something was in the way."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Nothing runs yet that would have to be ended: until `up` takes the signals, Ctrl-C just ends this process,
        # also in the second that the imports take.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from compose.commands import cli  # noqa: PLC0415

    return exit_status(cli, failed=1)


if __name__ == "__main__":
    sys.exit(main())

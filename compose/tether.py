"""Becomes another program, and has the kernel end that with its parent: `tether.py PARENT_PID COMMAND...`.

Also stands between make and the stack, see the Makefile. Linux only (prctl PR_SET_PDEATHSIG, which lasts across
execve); elsewhere children end with their parent only if that ends in order. Run by path and with the standard
library alone, so that it works wherever it is started from.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):  # it was gone before the kernel was told
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - our own programs

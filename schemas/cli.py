"""The command line of a program: its settings, which are flags and environment variables, its commands, its end.

A setting is a field of a dataclass of settings. Every other flag or argument belongs to one command and is read from
the command line alone: NAME, SCOPE or YES in the environment is somebody else's.
"""

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import cyclopts
import msgspec

from schemas.errors import UndertenError

Seconds = Annotated[float, cyclopts.Parameter(validator=cyclopts.validators.Number(gte=0))]
"""An argument: how long to wait. Not a number would be for ever."""


class SettingsFromEnvironment(cyclopts.config.Env):
    """The environment variables of settings, and of nothing else: `kafka_username` is KAFKA_USERNAME."""

    def __init__(self) -> None:
        super().__init__("", command=False)

    def __call__(self, app: cyclopts.App, commands: tuple[str, ...], arguments: cyclopts.ArgumentCollection) -> None:
        """Fill in the settings that the command line leaves out."""
        settings = cyclopts.ArgumentCollection(filter(_is_setting, arguments))  # type: ignore[no-untyped-call]
        super().__call__(app, commands, settings)

    def _convert_argument(self, commands: tuple[str, ...], argument: cyclopts.Argument) -> str:
        """Called for the help text, which names a variable only where there is one (cyclopts 5)."""
        if not _is_setting(argument):
            argument.parameter = cyclopts.Parameter.combine(argument.parameter, cyclopts.Parameter(show_env_var=False))
        return super()._convert_argument(commands, argument)


def _is_setting(argument: cyclopts.Argument) -> bool:
    """True for a dataclass of settings, or a field of one."""
    return bool(argument.children or argument.keys)


def command_line(name: str, description: str) -> cyclopts.App:
    """A program's command line, without its commands yet."""
    return cyclopts.App(name=name, help=description, config=SettingsFromEnvironment())


def exit_status(cli: cyclopts.App, *, failed: int) -> int:
    """The exit status of the command that the command line names.

    It is what the command returns, 0 where that is nothing. Where the command could not do its work (UndertenError,
    OSError: a full disk, a folder that may not be written) it is `failed`, and standard error says why in one line.
    Whoever reads the output through a pipe and stops early has seen enough: that is 0.
    """
    _have_outputs()
    try:
        status = int(cli(sys.argv[1:], result_action="return_value") or 0)
        sys.stdout.flush()
    except BrokenPipeError:
        return _end_of_pipe()
    except SystemExit as end:
        # Rich ends the process by 1 where it cannot write to a pipe.
        if isinstance(end.__context__, BrokenPipeError):
            return _end_of_pipe()
        raise
    except (UndertenError, OSError) as error:
        sys.stderr.write(f"{cli.name[0]}: {error}\n")
        return failed
    return status


def write_json(value: object) -> None:
    """Write a value for a program: as JSON in UTF-8, whatever a terminal here could show."""
    sys.stdout.flush()
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value)) + b"\n")


def _have_outputs() -> None:
    """Have both outputs take any text: one that is closed, or whose encoding lacks a character, fails no command."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _end_of_pipe() -> int:
    # What is still in the buffer must not fail when Python ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0

"""Addresses on this machine: whether one is free, and which is."""

import errno
import socket

from yarl import URL

from schemas.errors import SettingsError

LOOPBACK = ("127.0.0.1", "localhost")
LAST_PORT = 65_535


def port_of(address: str, setting: str) -> int:
    """The port of a loopback address "host:port"; raises SettingsError that names the setting."""
    host, _, port = address.rpartition(":")
    if host not in LOOPBACK or not (port.isdecimal() and 0 < int(port) <= LAST_PORT):
        raise SettingsError(f"{setting} must be 127.0.0.1:PORT for the local stack, not {address!r}")
    return int(port)


def port_of_url(url: str, path: str, setting: str) -> int:
    """The port of "http://host:port" + `path` on loopback; raises SettingsError that names the setting."""
    try:
        parts = URL(url)
        if parts.scheme == "http" and parts.path.rstrip("/") == path:
            return port_of(f"{parts.host}:{parts.port}", setting)
    except (ValueError, SettingsError):
        pass  # no address at all, or one elsewhere: told below with the whole address
    raise SettingsError(f"{setting} must be http://127.0.0.1:PORT{path} for the local stack, not {url!r}")


def check_free(port: int, what: str, setting: str, host: str = "127.0.0.1") -> None:
    """Raises SettingsError, with what the port is for and how to choose another, if it cannot be listened on."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except (OSError, OverflowError) as error:
            in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            reason = "is taken; end what listens there" if in_use else f"cannot be listened on ({error})"
            raise SettingsError(f"port {port}, for {what}, {reason}, or choose another with {setting}") from None


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port

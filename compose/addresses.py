"""Addresses on this machine: whether one is free, and which is."""

import socket

from schemas.errors import SettingsError

LOOPBACK = ("127.0.0.1", "localhost")


def port_of(address: str, setting: str) -> int:
    """The port of a loopback address "host:port"; raises SettingsError that names the setting."""
    host, _, port = address.rpartition(":")
    if host not in LOOPBACK or not port.isdecimal():
        raise SettingsError(f"{setting} must be 127.0.0.1:PORT for the local stack, not {address!r}")
    return int(port)


def check_free(port: int, what: str, setting: str) -> None:
    """Raises SettingsError, with what the port is for and how to choose another, if something listens there."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            raise SettingsError(
                f"port {port}, for {what}, is taken; end what listens there, or choose another with {setting}"
            ) from None


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port

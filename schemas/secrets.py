"""Passwords, certificates and addresses as settings name them: read, and refused in words that show the way out."""

import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from schemas.errors import SettingsError


def secret(variable: str, file: Path | None) -> str:
    """A secret from a file, or else from the environment; raises SettingsError that names both ways."""
    if file is None:
        value = os.environ.get(variable, "")
    else:
        try:
            value = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{variable}_FILE: cannot read {file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{variable}_FILE: {file} is not UTF-8") from None
    if not value:
        raise SettingsError(f"no password: set {variable}, or name a file that holds it in {variable}_FILE")
    return value


def trust(authorities: Path | None, setting: str) -> ssl.SSLContext:
    """TLS to servers whose certificates these authorities sign, or else the system's; raises SettingsError."""
    try:
        return ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{setting}: {authorities}: {_fault_of(error)}") from None


def present(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    """Show a certificate to servers that ask for one; raises SettingsError."""

    def no_password() -> str:
        raise SettingsError(f"{key or certificate}: an encrypted key cannot be used")  # OpenSSL would ask the terminal

    try:
        context.load_cert_chain(certificate, key, no_password)
    except (OSError, ssl.SSLError) as error:
        files = f"{certificate}, {key}" if key else str(certificate)
        raise SettingsError(f"KAFKA_CERTIFICATE_FILE, KAFKA_KEY_FILE: {files}: {_fault_of(error)}") from None


def _fault_of(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "this is not PEM, or the key is not the certificate's"
    return f"cannot be read: {error.strerror}"


def without_password(setting: str, address: str) -> None:
    """Refuse an address with a user in it: it is logged, and a flag is in the list of processes.

    Raises SettingsError for that, and for what is no address of HTTP.
    """
    try:
        parts = urlsplit(address)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if address and not valid:
        raise SettingsError(f"{setting} must be an address such as http://HOST:PORT")
    if parts.username is not None:
        raise SettingsError(f"{setting} must not hold a user name or password; there are settings for both")

"""Opaque bearer tokens, kept as hashes in a file that is read again when it changes.

    [[token]]
    name = "ann"                                    # stands beside her decisions
    sha256 = "<hex>"                                # of the token: `python -m service token ann --scope reviews:write`
    scopes = ["reviews:read", "reviews:write"]
    expires = 2027-01-01T00:00:00Z                  # may be left out

A token is 256 random bits, so a fast hash is enough: there is nothing to guess.
"""

import hashlib
import secrets
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.errors import SettingsError
from service.access.authentication import BadToken, Identity, Scope
from service.access.reloaded_file import ReloadedFile


class TokenEntry(Identity, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A token's holder, scopes, hash and end, as the file has them."""

    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    expires: datetime | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a time without a zone: it would be another moment on another machine."""
        if self.expires is not None and self.expires.tzinfo is None:
            raise ValueError("expires needs a time zone, such as Z")

    @property
    def has_expired(self) -> bool:
        """True from its end on."""
        return self.expires is not None and self.expires <= datetime.now(UTC)


class _TokenFile(msgspec.Struct, forbid_unknown_fields=True):
    token: tuple[TokenEntry, ...] = ()


def hash_token(token: str) -> str:
    """Hash a token as the file has it: SHA-256 in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token(name: str, scopes: tuple[Scope, ...]) -> tuple[str, str]:
    """Make a token, and its entry for the file; raises SettingsError for a name that the file may not have."""
    try:
        msgspec.convert({"name": name, "scopes": scopes}, Identity)
    except msgspec.ValidationError:
        raise SettingsError("name must be 1 to 100 characters, not blank, with no control characters") from None
    token = secrets.token_urlsafe(32)
    scope_list = ", ".join(f'"{scope}"' for scope in scopes)
    lines = (
        "[[token]]",
        f"name = {msgspec.json.encode(name).decode()}",
        f'sha256 = "{hash_token(token)}"',
        f"scopes = [{scope_list}]",
    )
    return token, "\n".join(lines) + "\n"


def read_tokens(file: Path) -> dict[str, TokenEntry]:
    """Read the file's entries, by hash; raises SettingsError that says what is wrong with it."""
    try:
        content = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _TokenFile)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (ValueError, ArithmeticError, RecursionError) as error:  # numbers beyond all bounds, arrays in arrays
        raise SettingsError(f"{file}: {error}") from None
    tokens: dict[str, TokenEntry] = {}
    for entry in content.token:
        if (other := tokens.setdefault(entry.sha256, entry)) is not entry:
            raise SettingsError(
                f"{file}: {other.name} and {entry.name} have the same sha256: nobody knows whose token it is"
            )
    return tokens


class OpaqueTokens:
    """The tokens of a file."""

    def __init__(self, file: Path) -> None:
        """Raises SettingsError for a file that makes no sense."""
        self._file = ReloadedFile(file, read_tokens)

    async def identify(self, token: str) -> Identity:
        """Return the holder of a token; raises BadToken."""
        entry = self._file.content.get(hash_token(token))
        if entry is None:
            raise BadToken("nobody has this token")
        if entry.has_expired:
            raise BadToken("this token has expired")
        return entry

    def recall(self, token: str) -> Identity | None:
        """Return the holder of a good token."""
        entry = self._file.content.get(hash_token(token))
        return None if entry is None or entry.has_expired else entry

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
from service.access.reloaded_file import LiveFile


class Entry(Identity, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody with a token, as the file has it."""

    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    expires: datetime | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a time without a zone: it would be another moment on another machine."""
        if self.expires is not None and self.expires.tzinfo is None:
            raise ValueError("expires needs a time zone, such as Z")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    token: tuple[Entry, ...] = ()


def hashed(token: str) -> str:
    """What the file has of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token(name: str, scopes: tuple[Scope, ...]) -> tuple[str, str]:
    """A token, and its entry for the file; raises SettingsError for a name that the file may not have."""
    try:
        msgspec.convert({"name": name, "scopes": scopes}, Identity)
    except msgspec.ValidationError:
        raise SettingsError("name must be 1 to 100 characters, not blank, with no control characters") from None
    token = secrets.token_urlsafe(32)
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    entry = f'[[token]]\nname = {msgspec.json.encode(name).decode()}\nsha256 = "{hashed(token)}"\nscopes = [{listed}]\n'
    return token, entry


def read_tokens(file: Path) -> dict[str, Entry]:
    """The file's entries by hash; raises SettingsError that says what is wrong with it."""
    try:
        content = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _File)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{file}: {error}") from None
    return {each.sha256: each for each in content.token}


class OpaqueTokens:
    """The tokens of a file."""

    def __init__(self, file: Path) -> None:
        """Raises SettingsError for a file that makes no sense."""
        self._file = LiveFile(file, read_tokens)

    async def identity(self, token: str) -> Identity:
        """Whose token it is; raises BadToken."""
        found = self._file.content.get(hashed(token))
        if found is None:
            raise BadToken("nobody has this token")
        if found.expires is not None and found.expires <= datetime.now(UTC):
            raise BadToken("this token has expired")
        return found

"""Who may do what: bearer tokens (RFC 6750) with scopes, kept as hashes in a file that is read again when it changes.

    [[token]]
    name = "ann"                                    # stands beside her decisions
    sha256 = "<hex>"                                # of the token: `python -m service token ann --scope reviews:write`
    scopes = ["reviews:read", "reviews:write"]
    expires = 2027-01-01T00:00:00Z                  # may be left out

A token is 256 random bits, so a fast hash is enough: there is nothing to guess. Browsers carry it in a cookie that no
script can read; what they send with it is taken only from our own pages.
"""

import hashlib
import secrets
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
import structlog
from aiohttp import web
from msgspec import Meta

from schemas.errors import SettingsError
from service.problems import Problem

Scope = Literal["payments:write", "reviews:read", "reviews:write", "metrics:read"]
SCOPES: tuple[str, ...] = get_args(Scope)

COOKIE = "underten_session"
LOOK_AGAIN_SECONDS = 1.0
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITES = frozenset({"same-origin", "none"})

log = structlog.get_logger(__name__)


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody with a token, as the file has it."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]
    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    scopes: frozenset[Scope]
    expires: datetime | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a time without a zone: it would be another moment on another machine."""
        if self.expires is not None and self.expires.tzinfo is None:
            raise ValueError("expires needs a time zone, such as Z")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    token: tuple[Identity, ...] = ()


def hashed(token: str) -> str:
    """What the file has of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token(name: str, scopes: tuple[Scope, ...]) -> tuple[str, str]:
    """A token, and its entry for the file."""
    token = secrets.token_urlsafe(32)
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    entry = f'[[token]]\nname = {msgspec.json.encode(name).decode()}\nsha256 = "{hashed(token)}"\nscopes = [{listed}]\n'
    return token, entry


def read_tokens(file: Path) -> dict[str, Identity]:
    """The file's identities by hash; raises SettingsError that says what is wrong with it."""
    try:
        content = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _File)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{file}: {error}") from None
    return {each.sha256: each for each in content.token}


class Access:
    """The identities of a file."""

    def __init__(self, file: Path) -> None:
        """Raises SettingsError for a file that makes no sense."""
        self._file = file
        self._looked_at = time.monotonic()
        self._state = self._stat()
        self._known = read_tokens(file)

    def identity(self, token: str) -> Identity | None:
        """Whose token it is; None if nobody's, or if its time is over."""
        self._read_again()
        found = self._known.get(hashed(token))
        if found is None or (found.expires is not None and found.expires <= datetime.now(UTC)):
            return None
        return found

    def _read_again(self) -> None:
        """Take in a file that has changed; one that makes no sense leaves things as they were, and is said."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_AGAIN_SECONDS:
            return
        self._looked_at = now
        state = self._stat()
        if state == self._state:
            return
        self._state = state
        try:
            self._known = read_tokens(self._file)
        except SettingsError as error:
            log.error("the tokens are left as they were", reason=str(error))  # noqa: TRY400 - the reason says all
        else:
            log.info("tokens read", file=str(self._file), tokens=len(self._known))

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def authenticate(access: Access, request: web.Request) -> Identity:
    """Who sent a request; raises Problem, 401 or (a cookie from a page that is not ours) 403."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        found = access.identity(token.strip())
    else:
        found = access.identity(request.cookies.get(COOKIE, ""))
        if found is not None and request.method not in SAFE and not _from_our_page(request):
            raise Problem(403, "cross-site", "a decision by cookie is taken only from this service's own pages")
    if found is None:
        challenge = 'Bearer realm="underten"' + (', error="invalid_token"' if scheme else "")
        detail = "a token is needed: Authorization: Bearer ..., or sign in at /login"
        raise Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": challenge})
    return found


def permit(identity: Identity, scope: str) -> None:
    """Raises Problem, 403, for somebody without a scope."""
    if scope not in identity.scopes:
        challenge = f'Bearer realm="underten", error="insufficient_scope", scope="{scope}"'
        detail = f"this token lacks the scope {scope}"
        raise Problem(403, "insufficient-scope", detail, headers={"WWW-Authenticate": challenge})


def _from_our_page(request: web.Request) -> bool:
    """As the browser says (Fetch Metadata; Origin where it does not know of that). Pages cannot forge either."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in OWN_SITES
    return request.headers.get("Origin", "").partition("://")[2] == request.host

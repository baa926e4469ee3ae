"""The keys that JWTs are signed with: a JWK set (RFC 7517), in a file, or fetched from an address again and again."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx
import msgspec
import structlog
from aiohttp import web
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from schemas.errors import DECODE_ERRORS, SettingsError
from service.access.reloaded_file import ReloadedFile

FETCH_SECONDS = 5.0
REFRESH_SECONDS = 600.0
"""Time after which a key that was taken out of the set verifies nothing any more."""
MIN_FETCH_INTERVAL_SECONDS = 10.0
"""Least time between two requests for the set, whatever key ids come."""

Keys = Mapping[tuple[str | None, str], PyJWK]
"""Keys by key id and algorithm."""

log = structlog.get_logger(__name__)


class _JwkSet(msgspec.Struct):
    keys: list[dict[str, Any]]


def read_keys(text: bytes, algorithms: Iterable[str]) -> Keys:
    """Read the keys of a set that may be used with these algorithms; any other key in it is left out.

    Raises SettingsError where that leaves none.
    """
    try:
        content = msgspec.json.decode(text, type=_JwkSet)
    except DECODE_ERRORS as error:
        raise SettingsError(f"this is no JWK set: {error}") from None
    keys: dict[tuple[str | None, str], PyJWK] = {}
    for jwk in content.keys:
        if not isinstance(jwk.get("kid"), str | None):  # no token can name it
            continue
        for algorithm in algorithms:
            if jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
                continue
            try:
                key = PyJWK(jwk, algorithm)
            except PyJWTError:
                continue
            if not key.Algorithm.check_key_length(key.key):  # it returns what is wrong
                keys[key.key_id, algorithm] = key
    if not keys:
        raise SettingsError(f"no key in the JWK set is one for {', '.join(algorithms)}")
    return keys


def find_key(keys: Keys, key_id: str | None, algorithm: str) -> PyJWK | None:
    """Find the key that a token names; a token that names none is taken to mean the only one there is."""
    if key_id is not None:
        return keys.get((key_id, algorithm))
    candidates = [key for (_, key_algorithm), key in keys.items() if key_algorithm == algorithm]
    return candidates[0] if len(candidates) == 1 else None


class KeySource(Protocol):
    """A source of keys: a file, or an address."""

    failure: str | None
    """Reason why the last attempt to fetch them failed, None where it did not."""

    @property
    def keys(self) -> Keys:
        """The keys of this moment; another object whenever they have changed."""

    async def refresh(self) -> None:
        """Fetch the keys anew, if that may help; never raises."""


class KeyFile:
    """Keys in a file."""

    failure: str | None = None

    def __init__(self, file: Path, algorithms: tuple[str, ...]) -> None:
        """Raises SettingsError for a file that makes no sense."""

        def read_key_file(file: Path) -> Keys:
            try:
                return read_keys(file.read_bytes(), algorithms)
            except OSError as error:
                raise SettingsError(f"{file}: cannot be read: {error.strerror or error}") from None
            except SettingsError as error:
                raise SettingsError(f"{file}: {error}") from None

        self._file = ReloadedFile(file, read_key_file)

    @property
    def keys(self) -> Keys:
        """The keys in the file."""
        return self._file.content

    async def refresh(self) -> None:
        """Do nothing: `keys` looks at the file."""


class FetchedKeys:
    """Keys from an address; the last ones stay while it does not answer."""

    def __init__(self, url: str, algorithms: tuple[str, ...], client: httpx.AsyncClient) -> None:
        self.failure: str | None = "not fetched yet"
        self.keys: Keys = {}
        self._url = url
        self._algorithms = algorithms
        self._client = client
        self._fetch_began_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._document = b""

    async def keep_fresh(self) -> None:
        """Fetch the keys now, and again and again, until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(MIN_FETCH_INTERVAL_SECONDS if self.failure else REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Fetch the keys, unless that was done a moment ago: in one request, however many wait for it."""
        if self._fetching is None:
            if time.monotonic() - self._fetch_began_at < MIN_FETCH_INTERVAL_SECONDS:
                return
            self._fetch_began_at = time.monotonic()
            self._fetching = asyncio.create_task(self._fetch())
        await asyncio.shield(self._fetching)

    async def close(self) -> None:
        """Close the connection."""
        if self._fetching is not None:
            self._fetching.cancel()
        await self._client.aclose()

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                response = await self._client.get(self._url)
            response.raise_for_status()
            if response.content != self._document:
                self.keys = read_keys(response.content, self._algorithms)
                self._document = response.content
                log.info("keys of JWTs fetched", keys=len(self.keys))
            self.failure = None
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, SettingsError) as error:
            self.failure = str(error) or f"no answer within {FETCH_SECONDS:g} s"
            log.warning("keys of JWTs could not be fetched", url=self._url, reason=self.failure)
        finally:
            self._fetching = None


JWT_KEYS = web.AppKey("jwt_keys", FetchedKeys)

"""Tokens by which clients sign in to Kafka: OAUTHBEARER (RFC 7628, KIP-255).

aiokafka (0.14) takes a broker's refusal of a token for a greeting: it goes on, is not let in, and nobody says why. The
client has to answer it, and then hears the error; nothing public lets it, so its authenticator is replaced.
"""

from pathlib import Path
from typing import Any

from aiokafka import conn
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError

from schemas.errors import SettingsError
from schemas.secrets import secret

ACKNOWLEDGED = b"\x01"
"""A client's answer to the reason of a refusal (RFC 7628, section 3.2.3)."""


def hear_refusals() -> None:
    """Let every client of this process hear from now on that its token is refused."""
    conn.OAuthAuthenticator = _Authenticator


class _Authenticator(conn.OAuthAuthenticator):  # type: ignore[misc]
    _answered = False

    async def step(self, payload: bytes | None) -> Any:
        if payload and self._token_sent and not self._answered:
            self._answered = True
            return ACKNOWLEDGED, True
        return await super().step(payload)


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """The token that a file holds, read anew for each connection: whoever renews it there need tell nobody."""

    def __init__(self, file: Path | None) -> None:
        """Raises SettingsError where there is no token; without a file it is in the environment."""
        self._file = file
        self._read()

    async def token(self) -> str:
        """Return the token of this moment; raises AuthenticationFailedError, after which clients try again."""
        try:
            return self._read()
        except SettingsError as error:
            raise AuthenticationFailedError(str(error)) from None

    def _read(self) -> str:
        return secret("KAFKA_TOKEN", self._file)

"""JSON Web Tokens as bearer tokens (RFC 7519, RFC 9068; checked as RFC 8725 advises)."""

import hashlib
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import jwt
import msgspec
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    PyJWTError,
)

from service.access.authentication import SCOPES, BadToken, Identity
from service.access.jwk_set import KeySource, find_key
from service.access_settings import AccessSettings
from service.http.problems import unavailable

MAX_VERIFIED = 10_000
FOR_EVER = 2**53
"""A time in seconds that is as good as none, and can be added to."""
TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""Values of `typ`; any other names a token for another purpose, such as logout+jwt (RFC 8725, section 3.11)."""


class _VerifiedToken(NamedTuple):
    identity: Identity
    expires_at: float


class Jwts:
    """The tokens of one issuer for one audience."""

    def __init__(self, settings: AccessSettings, source: KeySource) -> None:
        self._settings = settings
        self._source = source
        self._keys = source.keys
        # Checking a signature takes some 0.2 ms, a look here 1 us.
        self._verified: dict[bytes, _VerifiedToken] = {}

    async def identify(self, token: str) -> Identity:
        """Return the holder of a token; raises BadToken, or Problem, 503, where its key cannot be had at the moment."""
        identity = self.recall(token)
        if identity is not None:
            return identity
        claims = await self._claims(token)
        identity = identity_of(claims, self._settings.jwt_name_claim, self._settings.jwt_scope_claims)
        if len(self._verified) >= MAX_VERIFIED:
            del self._verified[next(iter(self._verified))]
        expires_at = min(int(claims["exp"]), FOR_EVER) + self._settings.jwt_leeway_seconds
        self._verified[_digest(token)] = _VerifiedToken(identity, expires_at)
        return identity

    def recall(self, token: str) -> Identity | None:
        """Return the holder of a token that was verified before, under the keys of this moment."""
        keys = self._source.keys
        if keys is not self._keys:
            self._keys = keys
            self._verified.clear()
        verified = self._verified.get(_digest(token))
        return verified.identity if verified is not None and verified.expires_at > time.time() else None

    async def _claims(self, token: str) -> dict[str, Any]:
        settings = self._settings
        try:
            header = jwt.get_unverified_header(token)
            if str(header.get("typ", "JWT")).lower() not in TYPES:
                raise BadToken("this JWT is of a type that is for something else")
            key = await self._key(header.get("kid"), header.get("alg"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=settings.jwt_algorithms,
                issuer=settings.jwt_issuer,
                audience=settings.jwt_audience,
                leeway=settings.jwt_leeway_seconds,
                options={"require": ["exp", "iss", "aud"]},
            )
        except ExpiredSignatureError:
            raise BadToken("this token has expired") from None
        except ImmatureSignatureError:
            raise BadToken(
                "this token is not valid yet: look at the clocks of its issuer and of this service, which may be "
                "JWT_LEEWAY_SECONDS apart"
            ) from None
        except InvalidIssuerError:
            raise BadToken("this token is of another issuer than the one that is trusted here") from None
        except InvalidAudienceError:
            raise BadToken("this token is meant for somebody else: its audience is another") from None
        except PyJWTError:  # its text may repeat what is in the token
            raise BadToken("this is no JWT that can be verified here") from None
        return claims

    async def _key(self, key_id: str | None, algorithm: Any) -> jwt.PyJWK:
        """Find the key that a token is to be signed with; raises BadToken, or Problem, 503."""
        if algorithm not in self._settings.jwt_algorithms:
            raise BadToken("this token is signed with an algorithm that is not taken here")
        key = find_key(self._source.keys, key_id, algorithm)
        if key is None:
            await self._source.refresh()
            key = find_key(self._source.keys, key_id, algorithm)
        if key is None and self._source.failure:
            detail = "whether this token is good cannot be said: its key cannot be fetched"
            raise unavailable("keys-unavailable", detail, retry_after=10)
        if key is None:
            raise BadToken("the key that this token names is not one of its issuer's")
        return key


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def identity_of(claims: dict[str, Any], name_claim: str, scope_claims: Iterable[str]) -> Identity:
    """Read the holder and scopes from a token's claims; unknown scopes are left out. Raises BadToken."""
    granted = {scope for claim in scope_claims for scope in _scopes(_claim(claims, claim))}
    name = _claim(claims, name_claim)
    holder = claims.get("sub") if name is None else name
    try:
        return msgspec.convert({"name": holder, "scopes": [scope for scope in SCOPES if scope in granted]}, Identity)
    except msgspec.ValidationError:
        claim = " or ".join(dict.fromkeys((name_claim, "sub")))
        raise BadToken(f"this token does not say whose it is, in {claim}, in 100 characters at most") from None


def _claim(claims: Any, name: str) -> Any:
    """Read a claim by its name, or by its path: "a.b" is the claim of that name, or else b within a."""
    if not isinstance(claims, dict):
        return None
    if name in claims:
        return claims[name]
    parts = name.split(".")
    paths = ((".".join(parts[:at]), ".".join(parts[at:])) for at in range(len(parts) - 1, 0, -1))
    return next((_claim(claims[outer], inner) for outer, inner in paths if outer in claims), None)


def _scopes(claim: Any) -> list[str]:
    """Read the scopes of a claim: a text with blanks between them (RFC 8693, section 4.2), or a list."""
    if isinstance(claim, str):
        return claim.split()
    return [scope for scope in claim if isinstance(scope, str)] if isinstance(claim, list) else []

"""An issuer of JWTs: its keys, its tokens, and an address where it publishes the keys."""

import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from service.access_settings import AccessSettings

ISSUER = "https://id.example.com"
AUDIENCE = "underten"


class Key:
    """A pair of keys with an id."""

    def __init__(self, algorithm: str = "ES256") -> None:
        self.id = uuid.uuid4().hex
        self.algorithm = algorithm
        self.private: Any = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm.startswith("ES")
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )

    def public(self) -> dict[str, Any]:
        """As a JWK."""
        kind = ECAlgorithm if self.algorithm.startswith("ES") else RSAAlgorithm
        jwk: dict[str, Any] = json.loads(kind.to_jwk(self.private.public_key()))
        return {**jwk, "kid": self.id, "use": "sig"}

    def token(self, *scopes: str, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token that is good for a minute; a claim that is None is left out."""
        full = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ann",
            "exp": int(time.time()) + 60,
            "scope": " ".join(("openid", *scopes)),
            **claims,
        }
        claims = {name: value for name, value in full.items() if value is not None}
        headers = {"typ": "at+jwt", "kid": self.id, **(header or {})}
        return jwt.encode(claims, self.private, algorithm=self.algorithm, headers=headers)


def jwk_set(*keys: Key) -> bytes:
    """The document that an issuer publishes."""
    return json.dumps({"keys": [key.public() for key in keys]}).encode()


class Published:
    """The answers of the issuer's address, and the number of its requests."""

    def __init__(self, *keys: Key) -> None:
        self.text = jwk_set(*keys)
        self.status = 200
        self.requests = 0

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        return web.Response(body=self.text, status=self.status, content_type="application/jwk-set+json")

    @asynccontextmanager
    async def address(self) -> AsyncIterator[str]:
        """Serve it at this address."""
        app = web.Application()
        app.router.add_get("/keys", self._answer)
        async with TestServer(app) as server:
            yield str(server.make_url("/keys"))


def trusting(keys: str, **changes: Any) -> AccessSettings:
    """Settings that take the issuer's tokens."""
    return AccessSettings(jwt_keys=keys, jwt_issuer=ISSUER, jwt_audience=AUDIENCE, **changes)

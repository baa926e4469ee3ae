"""Settings of access control."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx
from cyclopts import Parameter

from schemas.errors import SettingsError
from schemas.secrets import trust

# Public-key algorithms alone (RFC 7518, section 3; RFC 8037): with a symmetric one, who can check could also sign.
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
HOST_NAME = re.compile(r"[\w-]+(\.[\w-]+)*")
"""Neither scheme nor port nor wildcard: RFC 1123, section 2.1, and what container networks call their members."""

MAX_LEEWAY_SECONDS = 600


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class AccessSettings:
    """Settings of the two kinds of tokens: opaque ones, from a file, and JWTs of an issuer."""

    access_file: Path | None = None
    """File with the tokens' hashes and scopes; without it and JWT_KEYS everybody may do everything, from this machine
    only."""

    jwt_keys: str | None = None
    """Address (https) or file of the keys that an issuer signs JWTs with: a JWK set."""

    jwt_issuer: str | None = None
    """The issuer, as the claim `iss` has it."""

    jwt_audience: str | None = None
    """The audience that tokens must be meant for, as the claim `aud` has it."""

    jwt_algorithms: tuple[Algorithm, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    """The algorithms that JWTs may be signed with; in the variable, separated by blanks."""

    jwt_name_claim: str = "sub"
    """The claim that names people beside their decisions; `sub` where a token lacks it."""

    jwt_ca_file: Path | None = None
    """PEM file of the authorities that sign the certificate of JWT_KEYS; without it the system's own."""

    open_access: bool = False
    """Serve other machines without asking for tokens: for a network that lets in only who may."""

    allowed_hosts: tuple[str, ...] = ()
    """Names that a service without tokens answers to, beside localhost and addresses; in the variable, separated by
    blanks."""

    trust_forwarded: bool = True
    """Believe Forwarded, X-Forwarded-Proto and the like: clients speak HTTPS with a proxy before the service."""

    jwt_scope_claims: tuple[str, ...] = ("scope", "scp", "scopes")
    """The claims that hold scopes, all added up; `a.b` is `b` within `a`; in the variable, separated by blanks."""

    jwt_leeway_seconds: float = 10.0
    """Largest difference between the issuer's clock and the service's, in seconds."""

    def __post_init__(self) -> None:
        """Raises SettingsError for what cannot work, or is not safe."""
        for name in self.allowed_hosts:
            if not HOST_NAME.fullmatch(name):
                raise SettingsError(f"allowed_hosts takes names such as underten.example.com, not {name!r}")
        if not 0 <= self.jwt_leeway_seconds <= MAX_LEEWAY_SECONDS:
            raise SettingsError(f"jwt_leeway_seconds must be between 0 and {MAX_LEEWAY_SECONDS}")
        if not all(claim and all(claim.split(".")) for claim in (*self.jwt_scope_claims, self.jwt_name_claim)):
            raise SettingsError("jwt_scope_claims and jwt_name_claim take names of claims, such as realm_access.roles")
        if self.jwt_keys is None:
            if self.jwt_issuer or self.jwt_audience:
                raise SettingsError("jwt_issuer and jwt_audience need jwt_keys: the issuer's JWK set")
            return
        if not (self.jwt_issuer and self.jwt_audience):
            raise SettingsError("jwt_keys needs jwt_issuer and jwt_audience: whose tokens, and for whom")
        if not self.jwt_algorithms:
            raise SettingsError("jwt_algorithms must name one at least")
        if self.jwt_keys_fetched:
            self._check_address()

    def _check_address(self) -> None:
        address = urlsplit(self.jwt_keys or "")
        if address.username is not None:
            raise SettingsError("jwt_keys must not hold a user name or password: it is logged")
        if address.scheme != "https" and not (address.scheme == "http" and is_loopback(address.hostname or "")):
            raise SettingsError("jwt_keys must be an https address: who could change the keys could sign tokens")

    @property
    def controlled(self) -> bool:
        """True where tokens are asked for."""
        return self.access_file is not None or self.jwt_keys is not None

    @property
    def jwt_keys_fetched(self) -> bool:
        """True where the keys are at an address, not in a file."""
        return "://" in (self.jwt_keys or "")

    def key_client(self) -> httpx.AsyncClient:
        """Make the HTTP client that fetches the keys; raises SettingsError."""
        tls = trust(self.jwt_ca_file, "JWT_CA_FILE")
        return httpx.AsyncClient(verify=tls, headers={"Accept": "application/jwk-set+json, application/json"})


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    return host == "localhost" or (is_address(host) and ip_address(host).is_loopback)


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address, not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True

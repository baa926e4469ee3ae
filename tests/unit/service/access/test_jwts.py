"""JWTs: whose are taken, and that nothing else is."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization

from schemas.errors import SettingsError
from service.access import jwk_set as keys_module
from service.access.authentication import Access, BadToken, Identity
from service.access.jwk_set import FetchedKeys, KeyFile, read_keys
from service.access.jwts import Jwts
from service.access_settings import AccessSettings
from service.http.problems import Problem
from tests.issuer import Key, Published, jwk_set, trusting

KEY = Key()
RSA = Key("RS256")


def jwts(tmp_path: Path, *keys: Key, **changes: Any) -> Jwts:
    file = tmp_path / "keys.json"
    file.write_bytes(jwk_set(*(keys or (KEY, RSA))))
    settings = trusting(str(file), **changes)
    return Jwts(settings, KeyFile(file, settings.jwt_algorithms))


@asynccontextmanager
async def fetching(published: Published) -> AsyncIterator[tuple[Jwts, FetchedKeys]]:
    async with published.address() as address:
        settings = trusting(address)
        source = FetchedKeys(address, settings.jwt_algorithms, httpx.AsyncClient())
        try:
            yield Jwts(settings, source), source
        finally:
            await source.close()


@pytest.mark.parametrize("key", [KEY, RSA], ids=lambda key: key.algorithm)
async def test_the_issuers_token_says_who_and_what(key: Key, tmp_path: Path) -> None:
    holder = await jwts(tmp_path).identify(key.token("reviews:read", "payments:write"))
    assert holder == Identity("ann", frozenset({"reviews:read", "payments:write"}))


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": "reviews:read offline_access"},
        {"scope": None, "scp": ["reviews:read", "other"]},
        {"scope": None, "scp": "reviews:read"},
        {"scope": None, "scopes": ["reviews:read"]},
    ],
)
async def test_scopes_are_taken_from_each_usual_claim(claims: dict[str, Any], tmp_path: Path) -> None:
    assert (await jwts(tmp_path).identify(KEY.token(**claims))).scopes == {"reviews:read"}


ISSUERS = {
    "Entra": {"scp": "openid reviews:read", "roles": ["reviews:write"], "ver": "2.0", "oid": "1", "tid": "2"},
    "Auth0": {"scope": "openid profile", "permissions": ["reviews:read", "reviews:write"], "azp": "1"},
    "Keycloak": {"scope": "openid", "realm_access": {"roles": ["reviews:read", "reviews:write", "offline_access"]}},
    "Keycloak's client": {"resource_access": {"under.ten": {"roles": ["reviews:read", "reviews:write"]}}},
    "a name with dots": {"https://id.example.com/roles": ["reviews:read", "reviews:write"]},
}
CLAIMS = (
    "scope",
    "scp",
    "roles",
    "permissions",
    "realm_access.roles",
    "resource_access.under.ten.roles",
    "https://id.example.com/roles",
)


@pytest.mark.parametrize("issuer", ISSUERS)
async def test_scopes_of_the_claims_that_are_named_add_up(issuer: str, tmp_path: Path) -> None:
    token = KEY.token(**{"scope": None, **ISSUERS[issuer]})
    holder = await jwts(tmp_path, jwt_scope_claims=CLAIMS).identify(token)
    assert holder.scopes == {"reviews:read", "reviews:write"}
    assert "reviews:write" not in (await jwts(tmp_path).identify(token)).scopes


async def test_the_name_may_be_within_a_claim(tmp_path: Path) -> None:
    named = jwts(tmp_path, jwt_name_claim="profile.name")
    assert (await named.identify(KEY.token(profile={"name": "Ann Smith"}))).name == "Ann Smith"
    assert (await named.identify(KEY.token(profile="Ann Smith"))).name == "ann"


async def test_clocks_may_be_apart_as_far_as_the_setting_says(tmp_path: Path) -> None:
    token = KEY.token("reviews:read", nbf=int(time.time()) + 20)
    with pytest.raises(BadToken, match="clocks"):
        await jwts(tmp_path).identify(token)
    assert (await jwts(tmp_path, jwt_leeway_seconds=30).identify(token)).name == "ann"


@pytest.mark.parametrize("scope", [None, "", 7, ["reviews"], {"reviews:read": True}, "REVIEWS:READ", "reviews:read,x"])
async def test_no_scope_is_made_up(scope: Any, tmp_path: Path) -> None:
    assert (await jwts(tmp_path).identify(KEY.token(scope=scope))).scopes == frozenset()


async def test_the_name_is_the_claim_that_the_setting_says_or_sub(tmp_path: Path) -> None:
    named = jwts(tmp_path, jwt_name_claim="preferred_username")
    assert (await named.identify(KEY.token(preferred_username="Ann Smith"))).name == "Ann Smith"
    assert (await named.identify(KEY.token())).name == "ann"
    assert (await jwts(tmp_path).identify(KEY.token(preferred_username="bob"))).name == "ann"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": int(time.time()) - 11}, "expired"),
        ({"exp": None}, "cannot|no JWT"),
        ({"nbf": int(time.time()) + 3600}, "not valid yet: look at the clocks"),
        ({"iat": int(time.time()) + 3600}, "not valid yet: look at the clocks"),
        ({"iss": "https://elsewhere.example"}, "issuer"),
        ({"iss": None}, "no JWT"),
        ({"aud": "another"}, "audience"),
        ({"aud": ["another", "third"]}, "audience"),
        ({"aud": None}, "no JWT"),
        ({"sub": None}, "whose"),
        ({"sub": " "}, "whose"),
        ({"sub": "x" * 101}, "whose"),
        ({"sub": "ann\nbob"}, "whose"),
        ({"sub": "\ud800"}, "whose"),
        ({"exp": float("inf")}, "no JWT"),
        ({"header": {"kid": "[" * 2000}}, "key"),
        ({"header": {"typ": "logout+jwt"}}, "type"),
        ({"header": {"crit": ["unheard"], "unheard": 1}}, "no JWT"),
        ({"header": {"kid": "of nobody"}}, "key"),
    ],
)
async def test_a_token_that_does_not_fit_is_refused(claims: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(BadToken, match=reason):
        await jwts(tmp_path).identify(KEY.token("reviews:read", **claims))


async def test_a_token_that_ends_after_all_times_is_good(tmp_path: Path) -> None:
    assert (await jwts(tmp_path).identify(KEY.token("reviews:read", exp=10**400))).name == "ann"


def forged(header: dict[str, Any], secret: bytes | None) -> str:
    """A good token's claims under a header and an HMAC of the attacker's."""
    claims = KEY.token("reviews:read").split(".")[1]
    signed = f"{encoded(json.dumps(header).encode())}.{claims}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), hashlib.sha256)) if secret else ''}"


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


async def test_a_token_that_is_not_signed_is_refused(tmp_path: Path) -> None:
    for algorithm in ("none", "None", "NONE", "", None, ["none"]):
        with pytest.raises(BadToken):
            await jwts(tmp_path).identify(forged({"alg": algorithm, "kid": KEY.id}, None))


@pytest.mark.parametrize("key", [KEY, RSA], ids=lambda key: key.algorithm)
async def test_a_public_key_is_no_secret_to_sign_with(key: Key, tmp_path: Path) -> None:
    public = key.private.public_key()
    written = [
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        json.dumps(key.public()).encode(),
    ]
    for secret in written:
        for algorithm in ("HS256", key.algorithm):
            with pytest.raises(BadToken):
                await jwts(tmp_path).identify(forged({"alg": algorithm, "kid": key.id, "typ": "JWT"}, secret))


async def test_another_algorithm_than_those_of_the_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadToken, match="algorithm"):
        await jwts(tmp_path, jwt_algorithms=("ES256",)).identify(RSA.token())


async def test_a_changed_signature_or_claim_is_refused(tmp_path: Path) -> None:
    header, claims, signature = KEY.token("reviews:read").split(".")
    other = KEY.token("reviews:write").split(".")[1]
    for token in (f"{header}.{other}.{signature}", f"{header}.{claims}.{signature[::-1]}", f"{header}.{claims}."):
        with pytest.raises(BadToken):
            await jwts(tmp_path).identify(token)


@pytest.mark.parametrize("token", ["..", "a.b.c", "....", "\udcff.x.y", "e30.e30.", "bnVsbA.bnVsbA.bnVsbA"])
async def test_garbage_is_refused_and_no_error(token: str, tmp_path: Path) -> None:
    with pytest.raises(BadToken):
        await Access(None, jwts(tmp_path)).identify(token)


async def test_a_token_is_good_no_longer_than_it_says_though_it_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier, token = jwts(tmp_path), KEY.token("reviews:read", exp=int(time.time()) + 1 - 10)
    assert verifier.recall(token) is None
    assert await verifier.identify(token) == verifier.recall(token)
    await asyncio.sleep(1.1)
    assert verifier.recall(token) is None
    with pytest.raises(BadToken, match="expired"):
        await verifier.identify(token)


async def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.access.jwts.MAX_VERIFIED", 2)
    verifier = jwts(tmp_path)
    for number in range(4):
        await verifier.identify(KEY.token(sub=str(number)))
    assert len(verifier._verified) == 2


async def test_a_key_file_is_read_again_and_what_it_no_longer_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.access.reloaded_file.CHECK_SECONDS", 0.0)
    verifier, token = jwts(tmp_path, KEY), KEY.token()
    await verifier.identify(token)
    (tmp_path / "keys.json").write_bytes(b"not a set")
    await verifier.identify(token)
    (tmp_path / "keys.json").write_bytes(jwk_set(RSA))
    await verifier.identify(RSA.token())
    assert verifier.recall(token) is None
    with pytest.raises(BadToken):
        await verifier.identify(token)


async def test_a_rotated_key_is_fetched_and_the_old_one_is_good_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "MIN_FETCH_INTERVAL_SECONDS", 0.0)
    old, new, published = Key(), Key(), Published()
    published.text = jwk_set(old)
    async with fetching(published) as (verifier, _):
        await verifier.identify(old.token())
        published.text = jwk_set(new)
        await verifier.identify(new.token())
        with pytest.raises(BadToken):
            await verifier.identify(old.token())


async def test_a_flood_of_unknown_key_ids_is_no_flood_of_requests() -> None:
    published = Published(KEY)
    async with fetching(published) as (verifier, _):
        tokens = [KEY.token(header={"kid": f"made up {number}"}) for number in range(100)]
        refused = await asyncio.gather(*map(verifier.identify, tokens), return_exceptions=True)
        assert {type(error) for error in refused} == {BadToken}
        assert published.requests == 1
        await verifier.identify(KEY.token())
        assert published.requests == 1


async def test_keys_that_were_had_are_kept_while_their_address_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "MIN_FETCH_INTERVAL_SECONDS", 0.0)
    published = Published(KEY)
    async with fetching(published) as (verifier, source):
        await verifier.identify(KEY.token())
        for status, text in ((500, b""), (302, b""), (200, b"<html>"), (200, b'{"keys": []}')):
            published.status, published.text = status, text
            with pytest.raises(Problem) as unknown:
                await verifier.identify(Key().token())
            assert (unknown.value.status, unknown.value.headers["Retry-After"]) == (503, "10")
            assert source.failure
            await verifier.identify(KEY.token())
        published.status, published.text = 200, jwk_set(KEY)
        with pytest.raises(BadToken):
            await verifier.identify(Key().token())
        assert source.failure is None


async def test_keys_are_fetched_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "MIN_FETCH_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(keys_module, "REFRESH_SECONDS", 0.01)
    published = Published(KEY)
    async with fetching(published) as (_, source):
        keeping = asyncio.create_task(source.keep_fresh())
        async with asyncio.timeout(10):
            while published.requests < 3:
                await asyncio.sleep(0.01)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def test_keys_that_are_no_public_keys_for_signatures_are_left_out() -> None:
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "secret", "alg": "HS256"}
    encrypting = {**KEY.public(), "use": "enc"}
    for jwk in (secret, encrypting, {}, {"kty": "EC"}, {**KEY.public(), "alg": "none"}):
        with pytest.raises(SettingsError, match="no key"):
            read_keys(json.dumps({"keys": [jwk]}).encode(), ("ES256", "HS256")[:1])
    assert list(read_keys(jwk_set(KEY), ("RS256", "ES256"))) == [(KEY.id, "ES256")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"jwt_issuer": None}, "jwt_issuer"),
        ({"jwt_audience": None}, "jwt_audience"),
        ({"jwt_keys": None}, "jwt_keys"),
        ({"jwt_keys": "http://id.example.com/keys"}, "https"),
        ({"jwt_keys": "https://user:hidden@id.example.com/keys"}, "password"),
        ({"jwt_algorithms": ()}, "jwt_algorithms"),
    ],
)
def test_settings_that_would_not_be_safe_are_refused(changes: dict[str, Any], message: str) -> None:
    whole = {"jwt_keys": "https://id.example.com/keys", "jwt_issuer": "a", "jwt_audience": "b", **changes}
    with pytest.raises(SettingsError, match=message):
        AccessSettings(**whole)

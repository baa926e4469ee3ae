"""Settings of access control that cannot work, or are not safe, are refused."""

from typing import Any

import pytest

from schemas.errors import SettingsError
from service.access_settings import AccessSettings, is_loopback

JWTS = {"jwt_issuer": "https://id.example.com", "jwt_audience": "underten"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"jwt_issuer": "https://id.example.com"}, "jwt_keys"),
        ({"jwt_keys": "keys.json"}, "jwt_issuer"),
        ({**JWTS, "jwt_keys": "keys.json", "jwt_algorithms": ()}, "jwt_algorithms"),
        ({**JWTS, "jwt_keys": "http://id.example.com/keys"}, "https"),
        ({**JWTS, "jwt_keys": "https://user:pass@id.example.com/keys"}, "user name"),
    ],
)
def test_settings_that_are_not_safe_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        AccessSettings(**changes)


@pytest.mark.parametrize(
    ("keys", "fetched"), [("keys.json", False), ("https://a.example/k", True), ("http://[::1]:1/k", True)]
)
def test_keys_come_from_a_file_or_a_safe_address(keys: str, *, fetched: bool) -> None:
    settings = AccessSettings(**JWTS, jwt_keys=keys)
    assert settings.controlled
    assert settings.jwt_keys_fetched is fetched


@pytest.mark.parametrize(
    ("host", "expected"), [("localhost", True), ("127.8.0.1", True), ("::1", True), ("10.0.0.1", False), ("", False)]
)
def test_only_this_machine_reaches_a_loopback_address(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected

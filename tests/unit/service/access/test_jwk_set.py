"""JWK sets: the keys that may be used, and no others."""

import json
from pathlib import Path

import pytest

from schemas.errors import SettingsError
from service.access.jwk_set import KeyFile, find_key, read_keys
from tests.issuer import Key, jwk_set

KEY, OTHER, RSA = Key(), Key(), Key("RS256")
ALGORITHMS = ("ES256", "RS256")


def test_keys_are_read_by_id_and_algorithm() -> None:
    keys = read_keys(jwk_set(KEY, RSA), ALGORITHMS)
    assert set(keys) == {(KEY.id, "ES256"), (RSA.id, "RS256")}


@pytest.mark.parametrize("change", [{"use": "enc"}, {"alg": "ES384"}, {"kty": "oct", "k": "c2VjcmV0"}, {"kid": ["a"]}])
def test_a_key_that_no_token_can_mean_is_left_out(change: dict[str, object]) -> None:
    document = json.dumps({"keys": [{**KEY.public(), **change}, OTHER.public()]}).encode()
    assert [key_id for key_id, _ in read_keys(document, ALGORITHMS)] == [OTHER.id]


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"\xff", b'{"keys": []}', b'{"keys": [{"kty": "oct"}]}', b'{"keys": [{"kty": ' + b"[" * 5_000],
)
def test_a_set_without_a_usable_key_is_refused(document: bytes) -> None:
    with pytest.raises(SettingsError):
        read_keys(document, ALGORITHMS)


def test_a_token_that_names_no_key_means_the_only_one() -> None:
    one, two = read_keys(jwk_set(KEY, RSA), ALGORITHMS), read_keys(jwk_set(KEY, OTHER), ALGORITHMS)
    only_key = find_key(one, None, "ES256")
    assert only_key is not None
    assert only_key.key_id == KEY.id
    assert find_key(two, None, "ES256") is None
    assert find_key(two, "another", "ES256") is None


def test_a_key_file_names_itself_in_its_error(tmp_path: Path) -> None:
    for file in (tmp_path / "absent.json", tmp_path / "empty.json"):
        (tmp_path / "empty.json").touch()
        with pytest.raises(SettingsError, match=file.name):
            KeyFile(file, ALGORITHMS)

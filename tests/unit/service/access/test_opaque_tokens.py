"""Opaque tokens: made, read from their file, and refused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.errors import SettingsError
from service.access.authentication import BadToken
from service.access.opaque_tokens import OpaqueTokens, hash_token, new_token, read_tokens


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101, "\udcff"])
def test_no_token_is_made_for_a_name_that_the_file_may_not_have(name: str) -> None:
    with pytest.raises(SettingsError, match="name"):
        new_token(name, ("reviews:read",))


@pytest.mark.parametrize("name", ["ann", 'Ann "the hand" O\'Neill', "é" * 100])
def test_a_token_that_is_made_can_be_read(name: str, tmp_path: Path) -> None:
    file = tmp_path / "access.toml"
    file.write_text(new_token(name, ("reviews:read", "reviews:write"))[1], encoding="utf-8")
    [entry] = read_tokens(file).values()
    assert entry.name == name


async def test_a_token_is_its_holders_until_it_expires(tmp_path: Path) -> None:
    file = tmp_path / "access.toml"
    token, entry = new_token("ann", ("reviews:read",))
    for days, valid in ((1, True), (-1, False)):
        expires = (datetime.now(UTC) + timedelta(days=days)).isoformat()
        file.write_text(f"{entry}expires = {expires}\n", encoding="utf-8")
        tokens = OpaqueTokens(file)
        if valid:
            assert (await tokens.identify(token)).scopes == {"reviews:read"}
            assert tokens.recall(token) == await tokens.identify(token)
        else:
            assert tokens.recall(token) is None
            with pytest.raises(BadToken, match="expired"):
                await tokens.identify(token)
        with pytest.raises(BadToken, match="nobody"):
            await tokens.identify("another")
        assert tokens.recall("another") is None


@pytest.mark.parametrize(
    "line",
    [
        'sha256 = "abc"',
        f'sha256 = "{hash_token("t")}"\nexpires = 2027-01-01T00:00:00',
        "scopes = 3",
        "= nonsense",
        "x = " + "[" * 5000,
        "x = " + "1" * 5000,
    ],
)
def test_a_file_that_makes_no_sense_is_refused_by_name(line: str, tmp_path: Path) -> None:
    file = tmp_path / "access.toml"
    file.write_text(f'[[token]]\nname = "ann"\nscopes = []\n{line}\n', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"access\.toml"):
        read_tokens(file)


def test_a_token_of_two_holders_is_refused_with_both_names(tmp_path: Path) -> None:
    file = tmp_path / "access.toml"
    entries = [f'[[token]]\nname = "{name}"\nscopes = []\nsha256 = "{hash_token("t")}"\n' for name in ("ann", "bob")]
    file.write_text("".join(entries), encoding="utf-8")
    with pytest.raises(SettingsError, match="ann and bob have the same sha256"):
        read_tokens(file)

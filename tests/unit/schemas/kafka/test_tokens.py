"""Tokens for Kafka: the one of this moment, and a refusal that is heard."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka import conn
from aiokafka.errors import AuthenticationFailedError

from schemas.errors import SettingsError
from schemas.kafka.tokens import ACKNOWLEDGED, TokenFile, hear_refusals


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("first\n")
    return file


def token(tokens: TokenFile) -> str:
    return asyncio.run(tokens.token())


def test_a_token_is_read_anew_for_each_connection(file: Path) -> None:
    tokens = TokenFile(file)
    assert token(tokens) == "first"
    file.write_text("second\n")
    assert token(tokens) == "second"


def test_a_token_that_has_gone_is_an_error_of_the_connection_that_names_the_setting(file: Path) -> None:
    tokens = TokenFile(file)
    file.unlink()
    with pytest.raises(AuthenticationFailedError, match="KAFKA_TOKEN_FILE"):
        token(tokens)
    with pytest.raises(SettingsError, match="KAFKA_TOKEN_FILE"):
        TokenFile(file)


def test_a_token_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_TOKEN", "of the environment")
    assert token(TokenFile(None)) == "of the environment"


async def test_a_refusal_is_answered_once_so_that_the_broker_says_its_error(file: Path) -> None:
    hear_refusals()
    authenticator: Any = conn.OAuthAuthenticator(sasl_oauth_token_provider=TokenFile(file))
    assert await authenticator.step(None) == (b"n,,\x01auth=Bearer first\x01\x01", True)
    assert await authenticator.step(b'{"status":"invalid_token"}') == (ACKNOWLEDGED, True)
    assert await authenticator.step(b"more") is None


async def test_a_token_that_is_taken_ends_the_exchange(file: Path) -> None:
    authenticator: Any = conn.OAuthAuthenticator(sasl_oauth_token_provider=TokenFile(file))
    await authenticator.step(None)
    assert await authenticator.step(b"") is None

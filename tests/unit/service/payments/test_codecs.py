"""The codecs, from the registry's answer on."""

from typing import Any, cast

import pytest

from schemas.errors import RegistryUnavailable, SchemaClash
from schemas.registry import Registry
from service.payments import codecs
from service.payments.codecs import Codecs


async def test_before_the_schemas_are_registered_no_payment_can_be_encoded() -> None:
    unregistered = Codecs(cast(Registry, None))
    assert not unregistered.registered
    with pytest.raises(RegistryUnavailable, match="not accepted: still registering"):
        unregistered.codec("payment_json")


async def test_a_registry_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [RegistryUnavailable("away"), {"payment_json": "its codec"}]

    async def payment_codecs(_: Registry) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(codecs, "payment_codecs", payment_codecs)
    registering = Codecs(cast(Registry, None))
    await registering.register()
    assert registering.codec("payment_json") == "its codec"


async def test_a_schema_that_clashes_ends_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    async def payment_codecs(_: Registry) -> Any:
        raise SchemaClash("another schema is there")

    monkeypatch.setattr(codecs, "payment_codecs", payment_codecs)
    clashing = Codecs(cast(Registry, None))
    await clashing.register()
    assert isinstance(clashing.failed.result(), SchemaClash)
    with pytest.raises(RegistryUnavailable, match="another schema"):
        clashing.codec("payment_json")

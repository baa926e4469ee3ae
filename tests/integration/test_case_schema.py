"""The schema of a case in a real registry: an installation that has an earlier one goes on with today's."""

import json
from typing import Any
from uuid import uuid4

from schemas.codecs import CASE, schema_text
from schemas.registry import READERS_GO_ON, Registry, RegistrySettings, WriterSchema

LATER_MEMBERS = {"payor_account_no", "payee_bank", "payee_account_no", "partition", "offset"}
"""Members of a case's payments that the first version's schema did not have."""


def first_schema() -> WriterSchema:
    """The schema of the first version: without what came later."""
    schema: dict[str, Any] = json.loads(schema_text("review_case.schema.json"))
    del schema["properties"]["fired_at"]
    payment = schema["properties"]["payments"]["items"]["properties"]
    for name in LATER_MEMBERS:
        del payment[name]
    return WriterSchema(json.dumps(schema), "JSON")


async def test_todays_schema_is_taken_beside_the_first_one_whose_level_was_set_by_the_first_version(
    registry: RegistrySettings,
) -> None:
    client, subject = Registry(registry), f"cases-{uuid4()}-value"
    first = await client.register(subject, first_schema())
    assert await client.register(subject, CASE, READERS_GO_ON) != first
    assert await client.register(subject, first_schema(), READERS_GO_ON) == first

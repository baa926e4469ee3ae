"""The reviewer's way with a case or a subject, over HTTP."""

from typing import Any

from schemas.kafka.settings import KafkaSettings
from tests.integration.processes import until
from tests.integration.serving import Client, Json, put_cases


async def put(client: Client, kafka: KafkaSettings, *cases: Json) -> list[Json]:
    """Write cases; they as the desk shows them, once it does."""
    await put_cases(kafka, *cases)

    async def are_shown() -> bool:
        versions = [await show(client, case) for case in cases]
        return all(
            version.get("payment_count") == case["payment_count"] for version, case in zip(versions, cases, strict=True)
        )

    await until(are_shown)
    return [await show(client, case) for case in cases]


async def show(client: Client, item: Json) -> Json:
    """A case or subject as it stands now."""
    async with client.get(_address(item)) as response:
        content: Json = await response.json(content_type=None)
        assert response.status == 404 or response.headers["ETag"] == f'"{content["version"]}"'
        return content


async def decide(
    client: Client, item: Json, decision: str, reviewer: str = "ann", version: int | None = None, **more: Any
) -> tuple[int, Json]:
    """Decide on a case or subject; the answer's status, and its content."""
    headers = {} if version is None else {"If-Match": f'"{version}"'}
    body = {"decision": decision, "reviewer": reviewer, **more}
    async with client.post(f"{_address(item)}/decisions", json=body, headers=headers) as response:
        return response.status, await response.json(content_type=None)


def _address(item: Json) -> str:
    return f"/review-queue/{item['case_id']}" if "case_id" in item else f"/review-queue/subjects/{item['subject_id']}"

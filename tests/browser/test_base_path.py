"""The pages below a path, as a proxy puts them there that takes it away before it asks the service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import hdrs, web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, expect

from schemas.kafka.settings import KafkaSettings
from schemas.registry import RegistrySettings
from service.app import make_app
from tests.browser.conftest import Visitors
from tests.integration.processes import until_ready
from tests.integration.serving import case, payor_of_this_test, put_cases, settings
from tests.issuer import Key, jwk_set, trusting

pytestmark = pytest.mark.asyncio(loop_scope="package")

PREFIX = "/underten"
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@asynccontextmanager
async def behind(service: str) -> AsyncIterator[str]:
    """The address of the service behind a proxy, which knows nothing of it and answers 404 to all else."""

    async def forward(request: web.Request) -> web.StreamResponse:
        url = service.rstrip("/") + str(request.rel_url).removeprefix(PREFIX)
        headers = {**request.headers, "X-Forwarded-Prefix": PREFIX}
        body = await request.read()
        async with client.request(
            request.method, url, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            end_to_end = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            response.headers.extend(end_to_end)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
        return response

    app = web.Application()
    app.router.add_route(hdrs.METH_ANY, PREFIX + "/{rest:.*}", forward)
    async with (
        aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)) as client,
        TestServer(app) as proxy,
    ):
        yield str(proxy.make_url(PREFIX))


async def test_queue_subject_decision_events_docs_and_signing_in_work_below_a_path(
    browser: Browser, kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    key, keys = Key(), tmp_path / "keys.json"
    keys.write_bytes(jwk_set(key))
    payor = payor_of_this_test()
    app = make_app(settings(kafka, registry, tmp_path / "view.sqlite", access=trusting(str(keys))))
    async with TestServer(app) as server:
        await until_ready(str(server.make_url("")))
        async with behind(str(server.make_url("/"))) as address:
            people = Visitors(browser, address)
            await put_cases(kafka, case(payor))
            page = await people.come(f"{address}/?payor={payor}", reviewer="")
            await page.wait_for_url(f"{address}/login?next=*")
            await page.fill("[name=token]", key.token("reviews:read", "reviews:write"))
            await page.get_by_role("button", name="Sign in").click()
            await page.wait_for_url(f"{address}/?payor={payor}")
            await expect(page.locator("#who")).to_contain_text("ann")
            await expect(page.locator("#rows tr")).to_have_count(1)

            await put_cases(kafka, case(payor, payment_count=7, total_amount="23456.78"))
            await expect(page.locator("#rows .total")).to_have_text("≥ $23,456.78")  # by an event: nothing was reloaded

            await page.click("#rows a.open")
            await expect(page.locator("#detail img")).to_have_js_property("complete", value=True)
            assert await page.locator("#detail img").evaluate("image => image.naturalWidth") > 0
            await page.click("[data-decide=clear]")
            await page.check("[value=false_positive]")
            await page.click("#decide-go")
            await expect(page.locator("#detail h2 .chip")).to_have_text("cleared")

            await page.goto(f"{address}/comparison.html")
            await expect(page.locator("h1, h2").first).to_be_visible()
            await page.goto(f"{address}/docs")
            await expect(page.locator("#api")).to_contain_text("/payment_json")
            await page.context.close()
    assert [complaint for complaint in people.complaints if "status of 401" not in complaint] == []

"""Signing in at the page."""

from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, expect

from schemas.kafka.settings import KafkaSettings
from schemas.registry import RegistrySettings
from service.access.authentication import COOKIE
from service.app import make_app
from tests.browser.conftest import Visitors
from tests.integration.processes import until_ready
from tests.integration.serving import settings
from tests.issuer import Key, jwk_set, trusting

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_reviewer_signs_in_with_a_jwt_and_out_again(
    browser: Browser, kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    key, keys = Key(), tmp_path / "keys.json"
    keys.write_bytes(jwk_set(key))
    app = make_app(settings(kafka, registry, tmp_path / "view.sqlite", access=trusting(str(keys))))
    async with TestServer(app) as server:
        people = Visitors(browser, str(server.make_url("/")))
        page = await people.come("/", reviewer="")
        await page.wait_for_url("**/login?next=*")
        for wrong in ("nonsense", Key().token("reviews:read")):
            await page.fill("[name=token]", wrong)
            await page.get_by_role("button", name="Sign in").click()
            await expect(page.locator("#problem")).to_be_visible()
        await page.fill("[name=token]", key.token("reviews:read", "reviews:write"))
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.locator("#who")).to_contain_text("ann")
        [cookie] = await page.context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (COOKIE, True, "Strict")
        assert await page.evaluate("document.cookie") == ""
        await page.request.post("/logout")
        assert await page.context.cookies() == []
        await page.context.close()
    assert [complaint for complaint in people.complaints if "status of 401" not in complaint] == []


async def test_a_token_is_in_no_address_where_the_script_was_not_loaded(visitors: Visitors) -> None:
    page = await visitors.come("/")
    await page.route("**/login.js", lambda route: route.abort("internetdisconnected"))
    await page.route("**/login", lambda route: route.fulfill() if route.request.method == "POST" else route.continue_())
    await page.goto("/login")
    await page.fill("[name=token]", "secret")
    async with page.expect_request(lambda request: request.is_navigation_request()) as navigation:
        await page.get_by_role("button", name="Sign in").click()
    assert (await navigation.value).method == "POST"
    assert "secret" not in page.url


@pytest.mark.parametrize("offered", [True, False])
async def test_sample_payments_are_offered_only_where_there_are_some(
    browser: Browser, kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path, *, offered: bool
) -> None:
    app = make_app(settings(kafka, registry, tmp_path / "view.sqlite", samples=offered))
    async with TestServer(app) as server:
        await until_ready(str(server.make_url("")))
        page = await Visitors(browser, str(server.make_url("/"))).come("/comparison.html")
        async with page.expect_response("**/session"):
            await page.goto("/?payor=1&min_total=1")
        await expect(page.locator("#empty-text")).to_contain_text("No subject matches")
        await expect(page.locator("#samples")).to_be_visible(visible=offered)
        await page.context.close()

"""Pictures for the pages, of a running service that has cases: `python -m tests.browser.screenshots ADDRESS`."""

import asyncio
import re
import shutil
import sys
from pathlib import Path

from playwright.async_api import Page, async_playwright, expect

from tests.browser.conftest import CHROMIUM

FOLDER = Path("docs/images")


async def take(address: str) -> None:
    """Take the queue, a subject, a case and the comparison."""
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        context = await browser.new_context(base_url=address, viewport={"width": 1280, "height": 800})
        await context.add_init_script("localStorage.setItem('reviewer', 'ann')")
        page = await context.new_page()
        await page.goto("/?status=all")
        await expect(page.locator("#rows tr").nth(3)).to_be_visible()
        await picture(page, "queue")
        await page.goto("/?status=all&sort=-payment_count")
        await page.locator("#rows a.open").first.click()
        await expect(page.locator("#detail img")).to_have_js_property("complete", value=True)
        await picture(page, "subject")
        await page.goto("/?status=all&rule=structuring&sort=-total")
        await page.locator("#rows a.open").first.click()
        await page.locator("#detail .cases > li > a").first.click()
        await expect(page.locator("#detail img")).to_have_js_property("complete", value=True)
        await picture(page, "case")
        await page.goto("/comparison.html")
        await expect(page.locator("#state")).not_to_have_text("Asking…")
        await picture(page, "comparison")
        await browser.close()


async def picture(page: Page, name: str) -> None:
    """The picture of a view, once the strip has its figures."""
    await expect(page.locator('#strip [data-of="rate"]')).to_have_text(re.compile(r"[0-9]"))
    await page.mouse.move(0, 0)
    await page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    asyncio.run(take(sys.argv[1]))

"""The page in a real browser, on a service and a fraud of its own."""

import asyncio
import json
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Error, Page, async_playwright

from compose.addresses import free_port
from tests.conftest import Servers
from tests.integration.processes import make_topics, running, until_ready

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
EXPECTED = ("status of 409", "status of 503", "ERR_INTERNET_DISCONNECTED")
"""Complaints of the browser itself about answers that a test asks for."""


@pytest.fixture(scope="package")
def site(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's address; the queue is empty at first."""
    asyncio.run(make_topics(servers.kafka_settings))
    home, port = tmp_path_factory.mktemp("browser"), free_port()
    address = f"http://127.0.0.1:{port}"
    view = str(home / "view.sqlite")
    with (
        running(servers, home / "service.log", "service", SERVICE_PORT=str(port), QUEUE_VIEW=view),
        running(servers, home / "fraud.log", "fraud", "run", FRAUD_APP=uuid.uuid4().hex),
    ):
        asyncio.run(until_ready(address))
        yield address


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    """Chromium: the system's, or Playwright's own. One for all tests, which have contexts of their own in it."""
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    async with async_playwright() as playwright:
        try:
            # Its sandbox wants rights that a container may not give; the pages are ours.
            chromium = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        except Error as error:
            if os.environ.get("BROWSER") == "required":
                raise
            pytest.skip(f"no Chromium here, and none installed by `playwright install chromium`: {error.message[:80]}")
        yield chromium
        await chromium.close()


class Visitors:
    """People at their browsers; whatever their browsers complain of is collected."""

    def __init__(self, browser: Browser, site: str) -> None:
        self.complaints: list[str] = []
        self._expected = [*EXPECTED]
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._site = site

    async def come(self, path: str = "/", *, width: int = 1280, scheme: str = "light", reviewer: str = "ann") -> Page:
        """Somebody opens the page."""
        context = await self._browser.new_context(
            base_url=self._site,
            viewport={"width": width, "height": 860},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        self._contexts.append(context)
        context.set_default_timeout(10_000)
        if reviewer:
            await context.add_init_script(f"localStorage.setItem('reviewer', {json.dumps(reviewer)})")
        page = await context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self._complain(message.text))
        await page.goto(path)
        return page

    async def leave(self) -> None:
        """Everybody closes the page."""
        for context in self._contexts:
            await context.close()

    def expect(self, text: str) -> None:
        """Say that browsers may complain with this text in it."""
        self._expected.append(text)

    def _complain(self, text: str) -> None:
        if not any(expected in text for expected in self._expected):
            self.complaints.append(text)


@pytest_asyncio.fixture(loop_scope="package")
async def visitors(browser: Browser, site: str) -> AsyncIterator[Visitors]:
    """Ends with a check that no browser complained."""
    people = Visitors(browser, site)
    yield people
    await people.leave()
    assert people.complaints == []

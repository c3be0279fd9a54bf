"""A real browser and the page in it; the tests that need one are skipped where it is missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Browser, BrowserContext, Page, Playwright

    from serving.served import ServedModel

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Playwright, which drives the Chromium of the system: none is ever downloaded."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if shutil.which("chromium") is None:
        pytest.skip("Chromium is not installed (Debian: apt install chromium)")
    with sync_api.sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def page_service(serve: Any, mortality: ServedModel, fracture: ServedModel) -> httpx.Client:
    """The service with both models."""
    from serving.app import create_app
    from serving.settings import Settings

    client: httpx.Client = serve(create_app(Settings(), models=[mortality, fracture]))
    return client


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Chromium, running in a new profile."""
    running = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
    yield running
    running.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Return a function of options that gives a window which knows nothing of any other."""
    opened: list[BrowserContext] = []

    def open_window(**options: Any) -> BrowserContext:
        context = chromium.new_context(
            **({"viewport": {"width": 1280, "height": 900}} | options),
        )
        context.set_default_timeout(15_000)
        opened.append(context)
        return context

    yield open_window
    for context in opened:
        context.close()


@pytest.fixture
def page(browser: Callable[..., BrowserContext], page_service: httpx.Client) -> Page:
    """The page as a clinician opens it."""
    opened = browser().new_page()
    opened.goto(str(page_service.base_url))
    return opened

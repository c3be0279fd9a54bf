"""What tests of the service stand on: a real browser and real databases, skipped where missing."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postgresql import PostgreSQL, running_postgresql

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Browser, BrowserContext, Page, Playwright

    from serving.prediction.served import ServedModel

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


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server without its database's name; it lives as long as the tests."""
    with running_postgresql() as server:
        yield server.url


@pytest.fixture
def stoppable_postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server of one test's own, running."""
    with running_postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def new_postgresql_database(postgresql: str) -> Iterator[Any]:
    """Return a function that makes an empty database and returns its URL."""
    import psycopg

    numbers = itertools.count(1)
    with psycopg.connect(postgresql.format(name="postgres"), autocommit=True) as connection:

        def make() -> str:
            name = f"osteon_{next(numbers)}"
            connection.execute(f"CREATE DATABASE {name}")
            return postgresql.format(name=name)

        yield make


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind that the service can stand on."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'osteon.db'}"
    made: str = request.getfixturevalue("new_postgresql_database")()
    return made

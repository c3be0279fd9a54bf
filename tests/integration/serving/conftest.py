"""What tests of the service stand on: a real browser and real databases, skipped where missing."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

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


# Debian keeps the server's own programs out of PATH.
_SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([str(_SERVERS[-1])] if _SERVERS else [])) or (
        shutil.which(name)
    )


def _as_nobody_special() -> dict[str, Any]:
    """Return whom the server runs as: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@dataclass(frozen=True)
class PostgreSQL:
    """A server that can be stopped; `url` lacks the name of its database."""

    url: str
    start: Callable[[], object]
    stop: Callable[[], object]


@contextmanager
def _postgresql() -> Iterator[PostgreSQL]:
    initdb, pg_ctl = _program("initdb"), _program("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed (osteon[postgres])")
    # Short, as the path of a socket must be, and not below a folder that only root can enter.
    folder = Path(tempfile.mkdtemp(prefix="osteon-pg-"))
    identity = _as_nobody_special()
    if identity:
        os.chown(folder, identity["user"], identity["group"])
    said: dict[str, Any] = {"cwd": folder, "check": True, "stdout": subprocess.DEVNULL, **identity}
    data, log = str(folder / "data"), str(folder / "log")
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    start = [pg_ctl, "-D", data, "-l", log, "-o", options, "-w", "start"]
    stop = [pg_ctl, "-D", data, "-m", "immediate", "-w", "stop"]
    try:
        subprocess.run(
            [initdb, "-D", data, "-U", "osteon", "-A", "trust", "-E", "UTF8", "--no-sync"], **said
        )
        subprocess.run(start, **said)
        try:
            yield PostgreSQL(
                f"postgresql://osteon@/{{name}}?host={folder}",
                start=lambda: subprocess.run(start, **said),
                stop=lambda: subprocess.run(stop, **said),
            )
        finally:
            subprocess.run(stop, **(said | {"check": False, "stderr": subprocess.DEVNULL}))
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server without its database's name; it lives as long as the tests."""
    with _postgresql() as server:
        yield server.url


@pytest.fixture
def stoppable_postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server of one test's own, running."""
    with _postgresql() as server:
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

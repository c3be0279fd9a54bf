"""Every document with commands is followed as it is printed, as a reader would.

The how-to pages say how their folder is made. It is made once, and copied for each page and for the
tutorial of integrators, which starts there. Other tutorials start in an empty folder.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from documents import followed
from followed_pages import environment_in, follow, not_printed
from places import ROOT
from postgresql import running_postgresql

pytestmark = pytest.mark.slow

DOCS = ROOT / "docs"
INTEGRATOR = DOCS / "tutorials" / "integrator.md"
README = ROOT / "README.md"
FROM_NOTHING = (DOCS / "tutorials" / "spreadsheet.md", DOCS / "tutorials" / "records.md")
PAGES = [
    page
    for page in followed()
    if page not in (README, *FROM_NOTHING, INTEGRATOR, DOCS / "how-to" / "index.md")
]
SETTINGS = """
population = "Made-up adults of a test"
test_fraction = 0.3
refit_on_all = false
interval_folds = 3
max_trees = 10
bootstrap_resamples = 100
"""
PORTS = ("8000", "8123", "8124", "8125", "8130", "8443")
"""Ports that the documents name."""


def free_ports() -> dict[str, str]:
    """Return a free port for each that the documents name."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    ports = {port: str(one.getsockname()[1]) for port, one in zip(PORTS, held, strict=True)}
    for one in held:
        one.close()
    return ports


def settings_of(folder: Path) -> dict[str, str]:
    """Return what the page of the folder has exported."""
    return {
        "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
        "OSTEON_GATE_KEY": (folder / "gate.key").read_text().strip(),
    }


@pytest.fixture
def place(prepared: Path, tmp_path: Path) -> Path:
    """A copy of that folder, with the files beside the tutorials in it."""
    folder = tmp_path / "place"
    shutil.copytree(prepared, folder)
    for program in (DOCS / "tutorials").glob("*.py"):
        shutil.copy(program, folder)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_runs_as_printed(page: Path, place: Path) -> None:
    output = follow(page, place, settings=settings_of(place), replaced=free_ports())
    assert not_printed(page, output) == []


@pytest.mark.parametrize("page", FROM_NOTHING, ids=lambda page: page.stem)
def test_a_tutorial_runs_as_printed_in_an_empty_folder(page: Path, tmp_path: Path) -> None:
    for program in (DOCS / "tutorials").glob("*.py"):
        shutil.copy(program, tmp_path)
    output = follow(page, tmp_path, replaced=free_ports())
    assert not_printed(page, output) == []
    assert "is champion: it passed the gate" in output
    assert "The audit trail is complete" in output


def test_the_readme_runs_as_printed(
    tmp_path: Path, simulated: Callable[[int, int], pd.DataFrame]
) -> None:
    cohort = simulated(700, 7)
    cohort.to_csv(tmp_path / "cohort.csv", index=False)
    cohort.to_parquet(tmp_path / "cohort.parquet")
    simulated(100, 9).to_csv(tmp_path / "others.csv", index=False)
    (tmp_path / "run.toml").write_text(SETTINGS)
    ports = free_ports()
    settings = {
        "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
        "OSTEON_GATE_KEY": "a key of the tests, long enough",
        "OSTEON_PORT": ports["8000"],
    }
    output = follow(README, tmp_path, settings=settings, replaced=ports)
    assert "osteon-mortality version 1 is champion" in output
    assert '"predictions":' in output


def test_the_integrators_tutorial_runs_on_postgresql_behind_nginx(place: Path) -> None:
    search = environment_in(place)["PATH"]
    for program in ("nginx", "openssl", "curl"):
        if shutil.which(program, path=search) is None:
            pytest.skip(f"{program} is not installed")
    with running_postgresql() as server:
        import psycopg

        with psycopg.connect(server.url.format(name="postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE tutorial")
        database = server.url.format(name="tutorial")
        output = follow(
            INTEGRATOR,
            place,
            settings=settings_of(place) | {"DATABASE": database},
            replaced=free_ports(),
        )
    assert not_printed(INTEGRATOR, output) == []
    assert "DEMO: SIMULATED PATIENTS" in output  # the card
    assert "RiskAssessment: " in output
    assert "\n401\n" in output
    assert "Dr. Ada Moreau" in output
    assert output.count("0 of 8 acknowledged predictions are missing") == 2
    assert "0 of 11 acknowledged predictions are missing" in output


def test_a_page_whose_command_fails_is_named(tmp_path: Path) -> None:
    page = ROOT / "docs" / "how-to" / "no-champion.md"
    with pytest.raises(AssertionError, match=r"no-champion\.md ends with"):
        follow(page, tmp_path, settings={"MLFLOW_TRACKING_URI": "sqlite:///absent/mlflow.db"})

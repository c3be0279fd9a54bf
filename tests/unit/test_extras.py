"""Every package that the code imports is declared, in the core or in the extra of its folder."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement

from places import ROOT

OURS = {"data_schema", "models", "osteon", "serving", "training"}
# What each folder may need, beyond the core. `dev` and `docs` are no part of the product. What both
# a command and the service use must be in the extras of both.
ALLOWED = {
    "data_schema": (),
    "models": ("bulk", "serve & train"),
    "serving": ("serve", "telemetry", "postgres"),
    "training": ("train", "tuning", "bulk", "dask", "benchmark", "postgres"),
    "osteon.py": ("serve", "train"),
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extras: tuple[str, ...]) -> set[str]:
    """Return the packages of the core and of some extras, as pyproject.toml states them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    stated = [*project["dependencies"]]
    optional = project["optional-dependencies"]
    for extra in extras:
        both = [{*optional[one]} for one in extra.split(" & ")]
        stated += set.intersection(*both)
    return {normal(Requirement(text).name) for text in stated}


def imported(folder: str) -> Iterator[tuple[str, str]]:
    """Yield each top-level module that a folder imports anywhere, and the file that does."""
    place = ROOT / folder
    for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names = [node.module]
            for name in names:
                yield name, str(path.relative_to(ROOT))


@pytest.mark.parametrize("folder", ALLOWED)
def test_what_a_folder_imports_is_declared_for_it(folder: str) -> None:
    distributions = importlib.metadata.packages_distributions()
    known = declared(ALLOWED[folder])
    undeclared = set()
    for module, file in imported(folder):
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names or top in OURS or top == "__future__":
            continue
        names = {normal(name) for name in distributions.get(top, [top])}
        names |= {"pydantic"} if top == "pydantic_core" else set()
        if not names & known:
            undeclared.add((top, file))
    assert undeclared == set()

"""The layout of the packages: no import circle, no crowded folder, a bundle that stands alone."""

import ast
import re
import sys
from pathlib import Path

import grimp
import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from places import ROOT

PACKAGES = ("data_schema", "models", "training", "serving")
MODULES_IN_A_FOLDER = 22
IMPORTED_BY_A_BUNDLE = {"numpy", "pandas", "xgboost"}


def modules(package: str) -> list[Path]:
    return sorted(path for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py")


def test_no_modules_import_each_other_in_a_circle():
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    places = {module: place for place, module in enumerate(sorted(graph.modules))}
    edges = [
        (places[module], places[imported])
        for module in places
        for imported in graph.find_modules_directly_imported_by(module)
    ]
    adjacency = csr_array((np.ones(len(edges)), np.transpose(edges)), shape=(len(places),) * 2)
    n, component = connected_components(adjacency, connection="strong")
    circles = [[m for m, place in places.items() if component[place] == c] for c in range(n)]
    assert [circle for circle in circles if len(circle) > 1] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_is_crowded(package):
    counts = {}
    for path in modules(package):
        counts[path.parent] = counts.get(path.parent, 0) + 1
    crowded = {str(folder.relative_to(ROOT)): n for folder, n in counts.items()}
    assert {name: n for name, n in crowded.items() if n > MODULES_IN_A_FOLDER} == {}


@pytest.mark.parametrize("path", modules("models/inference"), ids=lambda path: path.stem)
def test_a_module_of_the_bundle_imports_what_every_mlflow_client_has(path):
    allowed = {*sys.stdlib_module_names, *IMPORTED_BY_A_BUNDLE, "models"}
    if path.stem == "pyfunc":
        allowed.add("mlflow")
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
            inside = (node.module or "").startswith("models.")
            assert not inside or (node.module or "").startswith("models.inference.")
    assert imported - allowed == set()


@pytest.mark.parametrize("path", modules("training"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_result_of_training_is_no_dict_to_be_read_by_key(path):
    """`as_json` returns `dict[str, object]`, which can be written and not be read."""
    assert re.findall(r"\b(?:dict|Mapping)\[str, Any\]", path.read_text()) == []


def test_one_module_knows_how_xgboost_writes_a_model():
    words = ("save_raw", "model_file", "gradient_booster", "split_conditions", "left_children")
    knowing = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in modules(package)
        if any(word in path.read_text() for word in words)
    }
    assert knowing == {"models/inference/trees.py"}

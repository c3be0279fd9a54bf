"""The bundle: whole, checkable, standing alone, and holding no patient."""

import ast
import hashlib
import json
import pickletools
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts import restated
from data_schema.errors import GateError, UsageError
from models.estimator import CumulativeIncidenceModel
from models.inference.risk_model import RiskModel
from models.registry.bundle import bundle_sha256, model_source, read_bundle, write_bundle
from models.targets import survival_target
from places import ROOT

N_PATIENTS = 157  # unlike the length of anything that a model needs


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "age": rng.normal(62, 14, N_PATIENTS).round(4),
            "lactate": rng.lognormal(0.5, 0.7, N_PATIENTS).round(4),
            "sex": rng.choice(np.array(["female", "male"], dtype=object), N_PATIENTS),
        }
    )


@pytest.fixture(scope="module")
def risk_model(patients: pd.DataFrame) -> RiskModel:
    rng = np.random.default_rng(4)
    # Against the straight line in age and lactate, so that the boosters have a say.
    log_odds = 1.5 * np.sign(patients["age"] - 62) * np.sign(patients["lactate"] - 1.6)
    time_days = rng.exponential(200 * np.exp(-log_odds)).clip(0.5)
    censored = rng.uniform(60, 800, N_PATIENTS)
    target = survival_target(np.minimum(time_days, censored), (time_days <= censored).astype(int))
    model = CumulativeIncidenceModel(
        horizons_days=(28.0, 90.0), max_trees=8, max_depth=3, interval_folds=2, n_jobs=1
    )
    return model.fit(patients, target).risk_model_


@pytest.fixture
def bundle(risk_model: RiskModel, tmp_path: Path) -> Path:
    write_bundle(risk_model, tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_bundle_read_back_predicts_and_explains_the_same(risk_model, bundle, patients):
    again = read_bundle(bundle).risk_model
    np.testing.assert_equal(
        again.predict(patients, explain=True)._asdict(),
        risk_model.predict(patients, explain=True)._asdict(),
    )


def test_a_bundle_holds_these_files_and_no_others(bundle):
    assert sorted(path.name for path in bundle.iterdir()) == [
        "booster.ubj",
        "contract.json",
        "fold_00.ubj",
        "fold_01.ubj",
        "manifest.json",
        "model.json",
        "model.py",
    ]


def test_no_file_is_a_pickle(bundle):
    for path in bundle.iterdir():
        content = path.read_bytes()
        assert not content.startswith(b"\x80"), path.name  # every protocol since 2 starts so
        with pytest.raises((ValueError, IndexError, AttributeError)):
            list(pickletools.genops(content))


def test_nothing_has_one_entry_per_training_patient(bundle):
    lists = [
        found
        for name in ("contract.json", "model.json")
        for found in _lists(json.loads((bundle / name).read_bytes()))
    ]
    assert max(map(len, lists)) < N_PATIENTS


def test_no_training_row_is_inside(bundle, patients):
    rows = {frozenset(row) for row in patients[["age", "lactate"]].to_numpy().tolist()}
    for name in ("contract.json", "model.json"):
        numbers = list(_numbers(json.loads((bundle / name).read_bytes())))
        assert not {frozenset(pair) for pair in pairwise(numbers)} & rows


def test_the_hash_is_the_same_for_the_same_model_wherever_it_is_written(risk_model, tmp_path):
    here = write_bundle(risk_model, tmp_path / "here")
    there = write_bundle(risk_model, tmp_path / "there")
    assert (
        here == there == bundle_sha256(tmp_path / "here") == read_bundle(tmp_path / "there").sha256
    )


def test_the_hash_covers_the_contract(risk_model, tmp_path):
    other = restated(risk_model, population="another cohort")
    assert write_bundle(risk_model, tmp_path / "a") != write_bundle(other, tmp_path / "b")


@pytest.mark.parametrize(
    "name", ["booster.ubj", "contract.json", "fold_00.ubj", "fold_01.ubj", "model.json", "model.py"]
)
def test_one_changed_byte_in_any_file_is_refused(bundle, name):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(GateError, match="1 of 6 do not"):
        read_bundle(bundle)
    with pytest.raises(GateError, match="1 of 6 do not"):
        bundle_sha256(bundle)


def test_changing_a_file_and_its_manifest_changes_the_hash(risk_model, bundle, tmp_path):
    changed = restated(risk_model, population="another cohort")
    other = tmp_path / "other"
    write_bundle(changed, other)
    before = bundle_sha256(bundle)
    for name in ("contract.json", "manifest.json"):
        (bundle / name).write_bytes((other / name).read_bytes())
    assert bundle_sha256(bundle) != before


def test_a_missing_file_is_refused(bundle):
    (bundle / "fold_01.ubj").unlink()
    with pytest.raises(GateError, match="exactly the files"):
        read_bundle(bundle)


def test_a_file_that_does_not_belong_is_refused(bundle):
    (bundle / "extra.pkl").write_bytes(b"")
    with pytest.raises(GateError, match="exactly the files"):
        read_bundle(bundle)


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"../secret": "00"}'])
def test_a_manifest_that_is_none_is_refused(bundle, manifest):
    (bundle / "manifest.json").write_text(manifest)
    with pytest.raises(GateError, match="exactly the files"):
        read_bundle(bundle)


def test_a_bundle_of_another_format_is_refused(bundle):
    contract = json.loads((bundle / "contract.json").read_bytes())
    _replace(bundle, "contract.json", json.dumps(contract | {"bundle_format": 99}).encode())
    with pytest.raises(GateError, match="bundle_format must be 5"):
        read_bundle(bundle)


def test_a_bundle_without_a_part_of_the_model_is_refused(bundle):
    _replace(bundle, "fold_01.ubj", None)
    with pytest.raises(GateError, match=r"fold_01\.ubj"):
        read_bundle(bundle)


def test_a_directory_that_is_no_bundle_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"must be a bundle: a directory with manifest\.json"):
        read_bundle(tmp_path)


def test_a_bundle_is_never_written_over_anything(risk_model, bundle):
    with pytest.raises(UsageError, match="must be empty"):
        write_bundle(risk_model, bundle)


def test_the_code_in_a_bundle_imports_nothing_of_ours():
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(model_source()))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"mlflow", "numpy", "pandas", "xgboost"}


def names_of(source: str) -> list[str]:
    """Return what a module defines at its top level, private names too."""
    named = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            named.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named += [
                name.id for t in targets for name in ast.walk(t) if isinstance(name, ast.Name)
            ]
    return [name for name in named if name != "__all__"]


SOURCES = {path.stem: path.read_text() for path in (ROOT / "models/inference").glob("[a-z]*.py")}


def test_the_sources_that_make_the_code_share_no_name():
    defined = [name for source in SOURCES.values() for name in names_of(source)]
    twice = {name for name in defined if defined.count(name) > 1}
    assert twice == set()
    assert set(names_of(model_source())) == set(defined)


def test_the_code_defines_a_name_before_any_module_that_imports_it():
    place = {name: number for number, name in enumerate(names_of(model_source()))}
    for source in SOURCES.values():
        imported = [
            alias.name
            for node in ast.parse(source).body
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("models.")
            for alias in node.names
        ]
        first = min(place[name] for name in names_of(source))
        assert all(place[name] < first for name in imported)


def test_reading_a_bundle_does_not_import_mlflow():
    modules = "models.registry.bundle, models.registry.lifecycle"
    code = f"import sys, {modules}; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _replace(bundle: Path, name: str, content: bytes | None) -> None:
    """Replace or drop a file, with a manifest that agrees."""
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    if content is None:
        (bundle / name).unlink()
        del manifest[name]
    else:
        (bundle / name).write_bytes(content)
        manifest[name] = hashlib.sha256(content).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def _lists(value: Any) -> Iterator[list[Any]]:
    """Return every list and object inside a JSON value, an object as the list of its values."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        yield value
        for inner in value:
            yield from _lists(inner)


def _numbers(value: Any) -> Iterator[float]:
    """Return every number of a JSON value, in the order they are written."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)
    elif isinstance(value, int | float):
        yield float(value)

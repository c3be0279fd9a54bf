"""What a release depends on is permissively licensed; run with `-s` to print the list."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement

from places import ROOT
from training.datasets.registry import ADAPTERS

# The extras of the product; `postgres` (LGPL) and the peers (GPL) are not among them.
EXTRAS = ("", "bulk", "dask", "serve", "telemetry", "train", "tuning")
PERMISSIVE = re.compile(
    r"\b(MIT(-0|-CMU)?|Apache|BSD|0BSD|ISC|ISCL|Zlib|CC0-1\.0|PSF|Python Software Foundation|HPND"
    r"|Unlicense)\b"
)
# Packages that state a licence in a file only, read there.
IN_A_FILE = {"huey": "MIT", "skops": "MIT"}
EXCEPTIONS = {
    "certifi": "MPL-2.0, unchanged: a list of authorities",
    "tqdm": "MPL-2.0 for some files, unchanged",
    "nvidia-nccl-cu12": "BSD-3-Clause by its licence file, although its metadata say proprietary; "
    "XGBoost's wheel for Linux needs it for several GPUs",
    "nvidia-nccl-cu13": "as nvidia-nccl-cu12",
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def dependencies(name: str, extras: tuple[str, ...], seen: set[str]) -> Iterator[str]:
    """Yield each package that a package needs with its extras, once."""
    for text in importlib.metadata.requires(name) or ():
        needed = Requirement(text)
        marker = needed.marker
        if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in extras):
            continue
        if normal(needed.name) in seen or normal(needed.name) == "osteon":
            continue
        try:
            importlib.metadata.distribution(needed.name)
        except importlib.metadata.PackageNotFoundError:
            continue
        seen.add(normal(needed.name))
        yield normal(needed.name)
        yield from dependencies(needed.name, ("", *needed.extras), seen)


def licence(name: str) -> str:
    """Return the licence that the metadata of an installed package state."""
    metadata = importlib.metadata.distribution(name).metadata
    expression = metadata.get("License-Expression")
    if expression:
        return str(expression)
    classified = [
        text.rsplit(" :: ", 1)[-1]
        for text in metadata.get_all("Classifier") or ()
        if text.startswith("License ::") and not text.endswith("OSI Approved")
    ]
    stated = (metadata.get("License") or "").strip().splitlines()
    return "; ".join(classified) or (stated[0] if stated else "") or IN_A_FILE.get(name, "")


def is_permissive(text: str) -> bool:
    """Return whether every part of an expression that must hold is permissive."""
    parts = re.split(r"\s+AND\s+|;\s*", text)
    return all(
        any(PERMISSIVE.search(choice) for choice in re.split(r"\s+OR\s+", part)) for part in parts
    )


def test_every_dependency_of_the_product_is_permissive() -> None:
    listed = {name: licence(name) for name in sorted(dependencies("osteon", EXTRAS, set()))}
    for name, text in listed.items():
        print(f"{name:40} {EXCEPTIONS.get(name, text)}")
    assert len(listed) > 80
    refused = {
        name: text
        for name, text in listed.items()
        if name not in EXCEPTIONS and not is_permissive(text)
    }
    assert refused == {}


def paragraphs() -> list[str]:
    """Return the entries of NOTICE, each in one line."""
    text = (ROOT / "NOTICE").read_text()
    return [" ".join(entry.split()) for entry in re.split(r"\n(?=\S)", text)]


@pytest.mark.parametrize("name", ADAPTERS)
def test_notice_names_each_data_set_with_its_publication(name: str) -> None:
    word = re.sub(r"[_\d]", "", name.split("_")[0])
    entries = [one for one in paragraphs() if word in one.lower().replace(" ", "")]
    assert entries, name
    source = ADAPTERS[name].source
    cited = re.search(r"(\w+) et al\..*?((?:19|20)\d\d)", source)
    if cited is not None:
        author, year = cited.groups()
        assert any(author in one and year in one for one in entries), source
    packages = re.findall(r"^(SurvSet|aplore3|psfmi|R survival)", source)
    shown = {"R survival": "survival"}
    assert all(any(shown.get(p, p) in one for one in entries) for p in packages), source


@pytest.mark.parametrize("system", ["LOINC", "UCUM", "SNOMED CT", "ICD-10-CM", "ATC", "RxNorm"])
def test_notice_names_each_code_system(system: str) -> None:
    assert any(one.startswith(system) for one in paragraphs())


@pytest.mark.parametrize(
    ("text", "permissive"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("Apache-2.0 AND MIT", True),
        ("MIT AND GPL-3.0-or-later", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("LicenseRef-NVIDIA-Proprietary", False),
        ("", False),
    ],
)
def test_copyleft_and_silence_are_not_permissive(text: str, permissive: bool) -> None:
    assert is_permissive(text) is permissive

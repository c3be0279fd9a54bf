"""What the documents of the repository name exists, and they link to each other."""

import re
import tomllib
from pathlib import Path

import pytest

from places import ROOT

DOCUMENTS = ("CONTRIBUTING.md", "GLOSSARY.md", "README.md", "SCALE.md")
PACKAGES = ("data_schema", "models", "training", "serving", "tests", ".ci")
QUOTED = re.compile(r"`([^`\s]+)`")
LINKED = re.compile(r"\]\((?!https?:)([^)#]+)\)")
AT_THE_TOP = re.compile(r"[A-Z]+\.md|osteon\.py|pyproject\.toml|requirements\.lock|Makefile")


def named_paths(document: str) -> set[str]:
    """Return what a document quotes as a path of the repository, or links to."""
    text = (ROOT / document).read_text(encoding="utf-8")
    quoted = {
        name
        for name in QUOTED.findall(text)
        if name.split("/")[0] in PACKAGES and "/" in name and "<" not in name
    }
    if document != "README.md":
        quoted |= {name for name in QUOTED.findall(text) if AT_THE_TOP.fullmatch(name)}
    return quoted | set(LINKED.findall(text))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_a_document_names_exists(document):
    missing = [name for name in sorted(named_paths(document)) if not (ROOT / name).exists()]
    assert missing == []


@pytest.mark.parametrize(("document", "least"), [("CONTRIBUTING.md", 40), ("GLOSSARY.md", 40)])
def test_the_documents_name_many_places(document, least):
    assert len(named_paths(document)) >= least


def test_the_readme_links_the_documents_for_developers():
    assert {"CONTRIBUTING.md", "GLOSSARY.md", "CHANGELOG.md", "SCALE.md"} <= named_paths(
        "README.md"
    )


def test_a_source_distribution_holds_every_document():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    # README.md and LICENSE are always in it, as metadata.
    assert {path.name for path in ROOT.glob("*.md")} <= {*included, "README.md"}


def test_contributing_names_every_recipe_test():
    recipes = Path(ROOT / "tests" / "integration" / "recipes").glob("test_*.py")
    names = {f"tests/integration/recipes/{path.name}" for path in recipes}
    assert names <= named_paths("CONTRIBUTING.md")


def test_the_glossary_defines_each_term_once():
    text = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8")
    defined = re.findall(r"^\*\*(.+?)\*\*:", text, flags=re.MULTILINE)
    assert len(defined) > 50
    assert len(defined) == len(set(defined))

"""One version everywhere, and a changelog by release."""

from __future__ import annotations

import re
import tomllib
from datetime import date

import yaml
from packaging.version import Version

from places import ROOT

HEADING = re.compile(r"## (?P<version>\S+) \((?P<when>unreleased|\d{4}-\d{2}-\d{2})\)")


def project_version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def releases() -> list[tuple[str, str]]:
    """Return the version and the day of each release in the changelog, in its order."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    stated = [HEADING.fullmatch(line) for line in headings]
    assert all(stated), f"headings must be '## VERSION (YYYY-MM-DD)': {headings}"
    return [(one["version"], one["when"]) for one in stated if one]


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    assert releases()[0][0] == project_version()


def test_every_release_before_has_a_day_and_none_is_later_than_the_next() -> None:
    found = releases()
    assert all(when != "unreleased" for _, when in found[1:])
    versions = [Version(version) for version, _ in found]
    assert versions == sorted(set(versions), reverse=True)
    days = [date.fromisoformat(when) for _, when in found if when != "unreleased"]
    assert days == sorted(days, reverse=True)


def test_a_release_lists_its_changes_by_kind() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    kinds = set(re.findall(r"^### (.+)$", text, flags=re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert "Added" in kinds


def test_the_citation_and_the_site_name_the_same_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == project_version()
    assert f'"{project_version()}"' not in (ROOT / "docs" / "conf.py").read_text(encoding="utf-8")

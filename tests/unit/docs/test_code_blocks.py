"""Every code block of a document is what it says: it parses, and its commands exist."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
import yaml

from documents import REASONS, Block, blocks, commands_in, documents, runs
from places import ROOT
from reference_pages import commands

COMMANDS = {name.removeprefix("osteon "): command for name, command in commands()}
ALL = [block for path in documents() for block in blocks(path)]
# Configuration of other programs, pictures, and what a command prints.
OTHERS = {"text", "nginx", "ini", "mermaid", "csv", "http"}


def of(language: str) -> list[Block]:
    return [block for block in ALL if block.language == language]


def name(block: Block) -> str:
    return f"{block.document}:{block.line}"


def test_every_block_states_its_language() -> None:
    known = {"sh", "python", "json", "toml", "yaml", *OTHERS}
    assert [name(block) for block in ALL if block.language not in known] == []
    assert len(of("sh")) > 15


def test_few_blocks_are_set_apart_and_each_says_why() -> None:
    code = [*of("sh"), *of("python")]
    apart = [block for block in code if block.reason]
    print(f"{sum(map(runs, code))} blocks are run, {len(apart)} are set apart")
    assert [name(block) for block in apart if not block.reason.startswith(REASONS)] == []
    assert 3 * len(apart) < len(code)
    # A reason that no block follows would set nothing apart.
    texts = "".join(path.read_text(encoding="utf-8") for path in documents())
    assert texts.count("<!-- not run here:") == sum(bool(block.reason) for block in ALL)


@pytest.mark.parametrize("block", of("sh"), ids=name)
def test_every_command_exists_with_its_options(block: Block) -> None:
    for line in commands_in(block.text):
        line = re.split(r"\s(?:>>?|2>|\|\||&&|&|;|\|)(?:\s|$)", line)[0].rstrip(" &")
        words = shlex.split(re.sub(r"\$\([^)]*\)|\$\{?\w+\}?", "VALUE", line))
        called = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
        assert called in COMMANDS, f"there is no `osteon {called}`"
        command = COMMANDS[called]
        rest = [word for word in words[len(called.split()) :] if word not in ("...",)]
        context = click.Context(command, info_name=called)
        _, left, _ = command.make_parser(context).parse_args(args=rest)
        assert left == [], f"`osteon {called}` takes no {left}"


@pytest.mark.parametrize("block", of("python"), ids=name)
def test_every_block_of_python_compiles(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("block", [*of("json"), *of("toml"), *of("yaml")], ids=name)
def test_every_block_of_data_parses(block: Block) -> None:
    if block.language == "json":
        json.loads(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    else:
        list(yaml.safe_load_all(block.text))


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#{1,6}\s+(.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    plain = (re.sub(r"[`*]", "", heading).strip().lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = (path.parent / file) if file else path
        if "generated" in place.parts:  # written by the build, whose warnings are errors
            continue
        if not place.exists() or (anchor and anchor not in anchors(place)):
            broken.append(target)
    assert broken == []

"""The steps of a Containerfile, performed in a folder instead of by a container engine."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

# What a stage has made, where it lies on a machine; everything else is the base image's own.
_OWN = ("/build", "/opt/osteon", "/var/lib/osteon", "/var/lib/mlflow", "/backup")
_OWN_PATH = re.compile(rf"(?<![\w./-])({'|'.join(_OWN)})(?=[/\s:\"']|$)")


@dataclass(frozen=True)
class Instruction:
    """One instruction, its line continuations joined."""

    name: str
    text: str


@dataclass(frozen=True)
class Stage:
    """One stage, the image or stage that it starts from, and its instructions."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]


def stages_of(text: str) -> dict[str, Stage]:
    """Return the stages of a Containerfile by name, in their order."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines)).splitlines()
    stages: dict[str, Stage] = {}
    for line in joined:
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            base, _, stage = rest.partition(" AS ")
            stages[stage] = Stage(stage, base, ())
        elif stages:
            last = next(reversed(stages.values()))
            more = (*last.instructions, Instruction(name, rest.strip()))
            stages[last.name] = Stage(last.name, last.base, more)
    return stages


@dataclass
class Image:
    """A folder in which stages are performed, and what the last one states for its process."""

    root: Path
    context: Path
    user: int
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    stated_user: str = ""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    copied: set[str] = field(default_factory=set)

    def perform(self, stage: Stage) -> None:
        """Perform every instruction of a stage; RUN as a user who is not root."""
        self.environment, self.copied = {}, set()
        for instruction in stage.instructions:
            getattr(self, f"_{instruction.name.lower()}")(instruction.text)

    def clear(self, *, but: set[str]) -> None:
        """Delete what no instruction copied into the last stage, as the image does not have it."""
        for own in _OWN:
            if own not in but:
                shutil.rmtree(self.place(own), ignore_errors=True)

    def place(self, path: str) -> Path:
        """Return where a path of the image lies on this machine."""
        return self.root / path.lstrip("/")

    def run(
        self, *command: str, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the image's process would run it, and wait."""
        return subprocess.run(
            command,
            cwd=cwd or self.place(self.workdir),
            env=self.process_environment(**environment),
            capture_output=True,
            text=True,
            check=False,
            **self.identity(),
        )

    def process_environment(self, **more: str) -> dict[str, str]:
        """Return the variables of the image's process: its own, and nothing of this process'."""
        own = {name: self._mapped(value) for name, value in self.environment.items()}
        own["PATH"] = f"{own.get('PATH', '')}:{self.root / 'python' / 'bin'}:/usr/bin:/bin"
        # The copy of Python must load its own library, not one of another version of this machine.
        own["LD_LIBRARY_PATH"] = str(self.root / "python" / "lib")
        temporary = self.root / "tmp"
        index = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        return {**index, **own, "HOME": str(temporary), "TMPDIR": str(temporary), **more}

    def identity(self) -> dict[str, object]:
        """Return the account of the process: a user without rights, if this one is root."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.user, "group": self.user, "extra_groups": []}

    def _mapped(self, text: str) -> str:
        return _OWN_PATH.sub(lambda found: str(self.place(found[1])), text)

    def _workdir(self, text: str) -> None:
        self.workdir = text
        self.place(text).mkdir(parents=True, exist_ok=True)
        self._own(self.place(text))

    def _copy(self, text: str) -> None:
        words = shlex.split(text)
        options = [word for word in words if word.startswith("--")]
        *sources, target = [word for word in words if not word.startswith("--")]
        if any(option.startswith("--from=") for option in options):
            self.copied.add(target)
            if sources != [target]:  # every stage shares one folder
                shutil.copytree(self.place(sources[0]), self.place(target), dirs_exist_ok=True)
                self._own(self.place(target))
            return
        for source in sources:
            there = self.context / source
            into = Path(self._mapped(target))
            place = into if into.is_absolute() else self.place(self.workdir) / target
            if there.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(there, place, dirs_exist_ok=True, ignore=ignored)
            else:
                if target.endswith("/"):
                    place = place / there.name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(there, place)
            self._own(place)

    def _run(self, text: str) -> None:
        if not _OWN_PATH.search(text) and "/usr/local/" in text:
            return  # changes the base image, which this machine is not
        done = self.run("/bin/sh", "-ec", self._mapped(text))
        assert done.returncode == 0, f"RUN {text}\n{done.stdout}{done.stderr}"

    def _env(self, text: str) -> None:
        self.environment |= dict(word.split("=", 1) for word in shlex.split(text))

    def _user(self, text: str) -> None:
        self.stated_user = text

    def _expose(self, text: str) -> None:
        pass

    def _entrypoint(self, text: str) -> None:
        self.entrypoint = json.loads(text)

    def _cmd(self, text: str) -> None:
        self.command = json.loads(text)

    def _healthcheck(self, text: str) -> None:
        words = json.loads(text[text.index("CMD ") + 4 :])
        self.healthcheck = [self._mapped(word) for word in words]

    def _own(self, path: Path) -> None:
        if os.geteuid() != 0:
            return
        while path != self.root:
            for one in (path, *path.rglob("*")):
                os.chown(one, self.user, self.user, follow_symlinks=False)
            path = path.parent


def base_python(root: Path) -> None:
    """Copy a bare Python into a folder, as a Python image has it: without any package.

    A copy, since the folder of this one may be closed to a user who is not root.
    """
    prefix, name = Path(sys.base_prefix), f"python{sys.version_info[0]}.{sys.version_info[1]}"
    ignored = shutil.ignore_patterns("site-packages", "test", "__pycache__", "config-*", "*.a")
    home = root / "python"
    shutil.copytree(prefix / "lib" / name, home / "lib" / name, ignore=ignored)
    for library in (prefix / "lib").glob("libpython*"):
        shutil.copy(library, home / "lib" / library.name)
    (home / "bin").mkdir()
    shutil.copy((prefix / "bin" / name).resolve(), home / "bin" / name)
    (home / "bin" / "python").symlink_to(name)
    (root / "tmp").mkdir()

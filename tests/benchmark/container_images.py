"""Make images for a machine that reaches no registry of images: from its own Debian and Python.

The public images that `deploy/` names (Python, PostgreSQL, nginx, Prometheus) are stood in for by
images of the same layout, whose files are those of this machine's packages; the service and MLflow
are then built from `deploy/Containerfile` itself. Grafana has no package of Debian and is left out.
Needs root, podman, buildah, runc, netavark and aardvark-dns (Debian) and the packages of
`PACKAGES`. `compose_stack.py` uses it.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from places import ROOT

# What debian:bookworm-slim has, and no more: a library that only this machine has must not hide
# that an image lacks it.
_SLIM = (
    *("base-files", "bash", "bsdutils", "ca-certificates", "coreutils", "dash", "findutils"),
    *("grep", "gzip", "libstdc++6", "login", "mawk", "netbase", "openssl", "passwd", "perl-base"),
    *("sed", "tar", "tzdata", "util-linux"),
)
# The libraries of the C extensions of Python's own library, as the public image has them.
_PYTHON = (
    *("libbz2-1.0", "libexpat1", "libffi8", "liblzma5", "libncursesw6", "libnsl2", "libreadline8"),
    *("libsqlite3-0", "libssl3", "libuuid1", "zlib1g"),
)
PACKAGES = {
    "python": (*_SLIM, *_PYTHON),
    "postgres": (*_SLIM, "locales", "postgresql"),
    "nginx": (*_SLIM, "nginx"),
    "prometheus": (*_SLIM, "prometheus"),
}
# The start of the public image of PostgreSQL, as its documentation describes it: an empty folder of
# data is made, and the scripts of /docker-entrypoint-initdb.d are run once.
_POSTGRES = """#!/bin/bash
set -eu
bin=$(echo /usr/lib/postgresql/*/bin) data=/var/lib/postgresql/data
as() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }
mkdir -p $data /run/postgresql && chown postgres:postgres $data /run/postgresql && chmod 700 $data
if [ ! -s $data/PG_VERSION ]; then
    as $bin/initdb -D $data -U postgres -E UTF8 -A trust >/dev/null
    echo "host all all all scram-sha-256" >> $data/pg_hba.conf
    as $bin/pg_ctl -D $data -o "-c listen_addresses=''" -w start >/dev/null
    for script in /docker-entrypoint-initdb.d/*.sh; do as sh "$script"; done
    as $bin/pg_ctl -D $data -m fast -w stop >/dev/null
fi
exec setpriv --reuid postgres --regid postgres --clear-groups \\
    $bin/postgres -D $data -c listen_addresses='*'
"""
_IMAGES = {
    "python": "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin\n",
    "postgres": 'ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin\nENTRYPOINT ["/start"]\n',
    "nginx": 'ENV PATH=/usr/sbin:/usr/bin\nCMD ["nginx", "-e", "stderr", "-g", "daemon off;"]\n',
    "prometheus": (
        "RUN chown 65534:65534 /prometheus\nENV PATH=/usr/bin:/bin\n"
        "WORKDIR /prometheus\nUSER 65534:65534\n"
        'ENTRYPOINT ["/usr/bin/prometheus"]\n'
    ),
}


@dataclass(frozen=True)
class Engine:
    """podman with its settings and its storage in a folder of its own."""

    folder: Path

    def prepare(self) -> None:
        """Write settings under which an engine runs on a machine without rights over limits."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 10_000)
        (self.folder / "containers.conf").write_text(
            '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
            f'[containers]\ndefault_ulimits = ["nofile={files}:{files}", "nproc=4096:4096"]\n'
            f'[network]\nnetwork_backend = "netavark"\n'
            f'network_config_dir = "{self.folder / "networks"}"\n'
        )
        (self.folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{self.folder / "storage"}"\n'
            f'runroot = "{self.folder / "run"}"\n'
        )

    def environment(self) -> dict[str, str]:
        """Return the variables of every call of podman."""
        return os.environ | {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",
        }

    def run(self, *command: str | Path, check: bool = True) -> str:
        """Run podman, and return what it printed."""
        done = subprocess.run(
            ["podman", *map(str, command)],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"podman {command[0]}: {done.stdout[-2_000:]}{done.stderr[-4_000:]}")
        return done.stdout

    def has(self, image: str) -> bool:
        """Return whether an image is in the storage."""
        done = subprocess.run(
            ["podman", "image", "exists", image], env=self.environment(), check=False
        )
        return done.returncode == 0


def make_images(engine: Engine) -> dict[str, str]:
    """Make every image that is not there yet, and return the variables of `images.env`."""
    for name in PACKAGES:
        if not engine.has(f"localhost/base-{name}"):
            print(f"base-{name}", file=sys.stderr, flush=True)
            _make_base(engine, name)
    base = f"localhost/base-python@{_digest(engine, 'localhost/base-python')}"
    for name, target in (("osteon", "service"), ("osteon-mlflow", "mlflow")):
        if not engine.has(f"localhost/{name}"):
            print(f"{name}: deploy/Containerfile, stage {target}", file=sys.stderr, flush=True)
            engine.run(
                *("build", "--format", "docker", "--isolation", "chroot", "--network", "host"),
                *(word for place in _of_pip() for word in ("--volume", f"{place}:{place}:ro")),
                *("--build-arg", f"PYTHON_IMAGE={base}", "--target", target),
                *("--file", ROOT / "deploy" / "Containerfile", "--tag", f"localhost/{name}", ROOT),
            )
    return {
        "PYTHON_IMAGE": base,
        "OSTEON_IMAGE": "localhost/osteon",
        "MLFLOW_IMAGE": "localhost/osteon-mlflow",
        "POSTGRES_IMAGE": "localhost/base-postgres",
        "NGINX_IMAGE": "localhost/base-nginx",
        "PROMETHEUS_IMAGE": "localhost/base-prometheus",
        "GRAFANA_IMAGE": "localhost/none",
    }


def _digest(engine: Engine, image: str) -> str:
    return str(json.loads(engine.run("image", "inspect", image))[0]["Digest"])


def _make_base(engine: Engine, name: str) -> None:
    folder = engine.folder / f"base-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "root"
    _copy_packages(PACKAGES[name], root)
    if name == "python":
        _copy_python(root)
    if name == "postgres":
        start = root / "start"
        start.write_text(_POSTGRES)
        start.chmod(0o755)
    if name == "nginx":  # Debian's own has other folders than the public image
        (root / "var" / "cache" / "nginx").mkdir(parents=True)
        for place in ("lib", "log"):
            shutil.rmtree(root / "var" / place / "nginx", ignore_errors=True)
            (root / "var" / place).mkdir(exist_ok=True)
            (root / "var" / place / "nginx").symlink_to("/var/cache/nginx")
    if name == "prometheus":
        (root / "prometheus").mkdir()
    subprocess.run(["ldconfig", "-r", str(root)], check=True)
    (folder / "Containerfile").write_text(f"FROM scratch\nCOPY root/ /\n{_IMAGES[name]}")
    engine.run("build", "--format", "docker", "--tag", f"localhost/base-{name}", folder)
    shutil.rmtree(folder)


def _copy_packages(names: Sequence[str], root: Path) -> None:
    """Copy the files of packages and of all that they depend on."""
    root.mkdir(parents=True)
    for place in ("bin", "sbin", "lib", "lib64", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64"):
        (root / "usr" / Path(place).name).mkdir(parents=True, exist_ok=True)
        if "/" not in place:
            (root / place).symlink_to(f"usr/{place}")
    for place, mode in (("tmp", 0o1777), ("run", 0o755), ("proc", 0o555), ("sys", 0o555)):
        (root / place).mkdir()
        (root / place).chmod(mode)
    listed = subprocess.run(
        ["dpkg-query", "-L", *_with_dependencies(names)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    left_out = re.compile(r"/usr/share/(doc|man|info|locale|lintian)/")
    files = {
        re.sub(r"^/(bin|sbin|lib|lib64)/", r"/usr/\1/", line)
        for line in listed
        if line.startswith("/") and not left_out.match(line)
    }
    there = sorted(path for path in files if Path(path).is_symlink() or Path(path).is_file())
    # What packages make when they are installed.
    there += ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ld.so.conf"]
    there += ["/etc/ld.so.conf.d/libc.conf", "/etc/ssl/certs", "/etc/alternatives", "/usr/bin/awk"]
    packed = subprocess.Popen(
        ["tar", "-C", "/", "-cf", "-", *(), "-T", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    unpacked = subprocess.Popen(["tar", "-C", str(root), "-xf", "-"], stdin=packed.stdout)
    assert packed.stdin is not None
    packed.stdin.write("\n".join(path.lstrip("/") for path in there).encode())
    packed.stdin.close()
    assert unpacked.wait() == 0
    assert packed.wait() == 0


def _with_dependencies(names: Sequence[str]) -> list[str]:
    """Return installed packages and what they need, by dpkg's own records."""
    asked = ["dpkg-query", "-W", "-f=${binary:Package}\t${Pre-Depends}, ${Depends}\t${Provides}\n"]
    listed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    needs: dict[str, list[list[str]]] = {}
    provides: dict[str, str] = {}
    full: dict[str, str] = {}
    for line in listed.splitlines():
        name, needed, provided = line.split("\t")
        short = name.partition(":")[0]
        full[short] = name
        needs[short] = [[*_names(part, "|")] for part in needed.split(",") if part.strip()]
        for virtual in _names(provided, ","):
            provides.setdefault(virtual, short)
    missing = [name for name in names if name not in needs]
    if missing:
        raise SystemExit(f"Install with apt-get: {' '.join(missing)}")
    seen: set[str] = set()
    todo = [*names]
    while todo:
        name = todo.pop()
        real = name if name in needs else provides.get(name)
        if real is None or real in seen:
            continue
        seen.add(real)
        for choice in needs[real]:
            todo += [one for one in choice if one in needs or one in provides][:1]
    return [full[name] for name in sorted(seen)]


def _names(text: str, separator: str) -> Iterator[str]:
    for part in text.split(separator):
        if part.strip():
            yield re.split(r"[ :(]", part.strip())[0]


def _copy_python(root: Path) -> None:
    """Copy a bare Python 3.12, or this one, to /usr/local, where the public image has it."""
    here = Path(sys.base_prefix)
    newer = sorted(here.parent.glob("3.12.*")) if here.parent.name == "versions" else []
    prefix = newer[-1] if newer else here
    (library,) = (prefix / "lib").glob("python3.*")
    home = root / "usr" / "local"
    ignored = shutil.ignore_patterns(
        "site-packages", "test", "__pycache__", "config-*", "*.a", "_tkinter*", "tkinter", "idlelib"
    )
    shutil.copytree(library, home / "lib" / library.name, ignore=ignored, symlinks=True)
    for shared in (prefix / "lib").glob("libpython*.so*"):
        shutil.copy(shared, home / "lib" / shared.name, follow_symlinks=False)
    (home / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy((prefix / "bin" / library.name).resolve(), home / "bin" / library.name)
    for alias in ("python", "python3"):
        (home / "bin" / alias).symlink_to(library.name)


def _of_pip() -> list[str]:
    """Return the files and folders of this machine that its pip reads."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "debug"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    stated = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    files = re.findall(r"(/\S+), exists: True", listed)
    folders = re.findall(r"(?:file://|(?<=['\s=]))(/[\w./-]+)", stated)
    whole = {str(Path(path).parents[-3]) if "simple" in path else path for path in folders}
    return sorted({*(path for path in (*files, *whole) if Path(path).exists())})


def environment_of(images: Mapping[str, str]) -> str:
    """Return the text of `images.env`."""
    return "".join(f"{name}={value}\n" for name, value in images.items())

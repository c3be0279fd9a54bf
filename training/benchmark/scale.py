"""`osteon benchmark --scale`: speed, memory and growth, each figure by a script of the checkout."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_schema.errors import UsageError
from training.benchmark.stored_results import ResultFile, code_fingerprint
from training.provenance import versions

__all__ = ["STUDIES", "ScaleRow", "Study", "machine_of_scale", "measure_scale", "processor"]

_ROOT = Path(__file__).resolve().parents[2]
_SCRIPTS = _ROOT / "tests" / "benchmark"
_FAILED = "failed"
_CODE = ("data_schema", "models", "training", "tests/benchmark")


@dataclass(frozen=True, slots=True)
class Study:
    """One figure: the script that measures it, and what its target is in words.

    Parameters
    ----------
    arguments : tuple of str
        Of the script at full size; `{patients}` stands for the number of patients.
    patients : int
        Number of patients at full size; 0 if it has none.
    shown : tuple of str
        Keys of the script's answer that are printed.
    fewest : int
        Patients that the script needs, at any share of the full size.
    """

    name: str
    script: str
    arguments: tuple[str, ...]
    patients: int
    target: str
    shown: tuple[str, ...]
    fewest: int = 0

    def sized(self, size: float) -> int:
        """Return the number of patients at a share of the full size."""
        return max(round(self.patients * size), self.fewest)


_FEW = "interval_folds = 3;bootstrap_resamples = 50;test_fraction = 0.3"

STUDIES: tuple[Study, ...] = (
    Study(
        "peak memory of training, 60 variables",
        "train_scale",
        ("memory", "--patients", "{patients}", "--settings", "max_trees = 20;" + _FEW),
        1_000_000,
        "under 5 GB",
        ("peak_gb",),
    ),
    Study(
        "growth of a fit up to a cap on patients, and beyond",
        "train_scale",
        ("growth", "--patients", "{half}", "{patients}", "{double}", "--cap", "{patients}"),
        20_000,
        "at most n^1.05 up to the cap, flat beyond",
        ("exponent", "times_of_the_cap"),
        # Small cohorts have ten tuning folds in place of four: the smallest must not be such a fit.
        fewest=10_000,
    ),
    Study(
        "what more patients gain",
        "train_scale",
        ("accuracy", "--patients", "{patients}"),
        80_000,
        "printed",
        ("auc_gained_by_doubling",),
        fewest=16_000,
    ),
    Study(
        "core fit on SUPPORT2 beside a random survival forest",
        "train_scale",
        ("forest",),
        0,
        "under the forest's CPU time",
        ("times_of_the_forest",),
    ),
    Study(
        "contributions beside shap.TreeExplainer",
        "score_speed",
        ("shap", "--rows", "{patients}"),
        100_000,
        "at least 6 times faster",
        ("times_faster",),
        # Fewer are explained by XGBoost itself.
        fewest=30_000,
    ),
    Study(
        "scoring and explaining a tenfold file",
        "score_speed",
        ("growth", "--rows", "{patients}"),
        100_000,
        "time at most 10.5 times, memory at most 1.2 times and 2.5 GB",
        ("cpu_grows_by", "memory_grows_by"),
        # Fewer take less than the start of a command.
        fewest=10_000,
    ),
    Study(
        "scoring ended in mid-file",
        "score_speed",
        ("kill", "--rows", "{patients}"),
        120_000,
        "the same bytes",
        ("kills", "same_bytes"),
        fewest=10_000,
    ),
    Study(
        "scoring on two Dask workers",
        "dask_speed",
        ("score", "--patients", "{patients}"),
        1_000_000,
        "at least 1.6 times faster than one thread",
        ("times_faster", "largest_difference"),
    ),
    Study(
        "judging a model on a large file in parts",
        "evaluate_scale",
        ("--patients", "{patients}", "--settings", "max_trees = 50;" + _FEW),
        1_000_000,
        "less CPU time per patient than in memory, under 2.5 GB; on workers the same result",
        ("cpu_times_of_memory_per_patient", "peak_mb", "largest_difference"),
        # Fewer are read as a whole.
        fewest=150_000,
    ),
    Study(
        "training on two Dask workers",
        "dask_speed",
        ("train", "--patients", "{patients}", "--settings", _FEW),
        1_000_000,
        "at most 1.3 times two threads; metrics within .001",
        ("times_as_long", "largest_difference_of_a_metric"),
    ),
    Study(
        "a Dask worker ended in mid-run",
        "dask_speed",
        ("kill", "--patients", "{patients}", "--settings", "max_trees = 50;" + _FEW),
        100_000,
        "the same result",
        ("largest_difference_of_a_risk", "largest_difference_of_a_metric"),
        fewest=2_000,
    ),
)


@dataclass(frozen=True, slots=True)
class ScaleRow:
    """One measured figure.

    Parameters
    ----------
    patients : int
        0 if the figure has none.
    reached : bool
        Whether the target is met, at this size.
    measured : mapping of str to object
        Everything that the script printed; `failed` with the reason if it ended with an error.
    """

    name: str
    target: str
    patients: int
    reached: bool
    measured: Mapping[str, object]
    shown: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether the script ended with an error."""
        return _FAILED in self.measured

    def in_words(self) -> str:
        """Return what is printed of what was measured, numbers to three digits."""
        if self.failed:
            return f"not measured: {self.measured[_FAILED]}; run the command again"
        values = {key: self.measured.get(key) for key in self.shown}
        return "; ".join(f"{key} {_in_words(value)}" for key, value in values.items())

    def as_json(self) -> dict[str, object]:
        """Return what `osteon benchmark --scale --json` prints of it."""
        named = {"figure": self.name, "target": self.target, "patients": self.patients}
        return named | {"reached": self.reached, "measured": dict(self.measured)}


def _in_words(value: object) -> str:
    """Return a number to three digits, and a list of numbers likewise."""
    if isinstance(value, list):
        return " ".join(map(_in_words, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def processor() -> str:
    """Return the name of the processor, or its architecture where the system does not say it."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine_of_scale() -> dict[str, object]:
    """Return the machine: its processor, cores, memory and the versions that times depend on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": processor(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        **versions(),
    }


def measure_scale(
    folder: Path,
    *,
    size: float = 1.0,
    studies: Sequence[Study] = STUDIES,
    progress: Callable[[str], None] = lambda _: None,
) -> list[ScaleRow]:
    """Measure every figure that is not yet in the folder, and return all.

    Parameters
    ----------
    folder : Path
        Where finished figures are written, one line each, so that a run that was stopped goes on.
        Those of changed code, or of another size, are measured again, and so are those whose script
        failed.
    size : float
        Share of the patients of each figure, above 0 and at most 1; no figure has fewer than it
        can be measured with.

    Raises
    ------
    UsageError
        If this is no checkout, or the size is out of range.
    """
    if not _SCRIPTS.is_dir():
        raise UsageError(
            "--scale needs a checkout of Osteon: its scripts are not part of an installation. "
            "Clone the repository, and run make benchmark there."
        )
    if not 0 < size <= 1:
        raise UsageError(f"size must be above 0 and at most 1; got {size:g}.")
    results = ResultFile(folder / f"scale-{code_fingerprint(_CODE, {'size': size})}.jsonl")
    rows = []
    for study in studies:
        key = [study.script, *_sized(study, size)]
        known = [row for row in results.read() if row["command"] == key]
        if known:
            measured = known[0]["measured"]
            assert isinstance(measured, dict)
        else:
            progress(f"measuring: {study.name}")
            measured = _answer(key)
            if _FAILED not in measured:
                results.append({"command": key, "measured": measured})
        rows.append(
            ScaleRow(
                study.name,
                study.target,
                study.sized(size),
                bool(measured["reached"]),
                measured,
                study.shown,
            )
        )
    return rows


def _sized(study: Study, size: float) -> list[str]:
    """Return the arguments of a script for a share of its patients."""
    patients = study.sized(size)
    numbers = {"patients": patients, "half": patients // 2, "double": 2 * patients}
    return [argument.format(**numbers) for argument in study.arguments]


def _answer(command: Sequence[str]) -> dict[str, object]:
    """Run a script to its end, and return the JSON object that it prints, or that it failed."""
    script, *arguments = command
    process = subprocess.run(
        [sys.executable, str(_SCRIPTS / f"{script}.py"), *arguments],
        cwd=_ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(_ROOT), str(_SCRIPTS)])},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    # 1: measured, and a target was missed.
    if process.returncode not in (0, 1) or "{" not in process.stdout:
        return {_FAILED: f"{script} ended with {process.returncode}", "reached": False}
    answer: dict[str, object] = json.loads(process.stdout[process.stdout.index("{") :])
    return answer

"""The commands of `make demo`: two at a time, printed in their order.

    python -m training.demo FOLDER

While a run judges or reports it uses one core of two. The model of real patients is fitted first;
those of simulated patients fill what it leaves idle, at a lower priority.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import typer

__all__ = ["Step", "added_value_lines", "lanes_of_demo", "run_lanes"]

OSTEON = (sys.executable, "-c", "import osteon; osteon.main()")

REAL = "osteon-mortality-support2"
SIMULATED = "osteon-mortality-simulated"
PANEL = "resorption+formation+fgf23_mineral"
PATIENTS = 3_500

_NICE = ("nice", "-n", "10")
_LOOK_EVERY_S = 0.1
_REGISTERED = re.compile(r"^(\S+) version (\d+) is registered", re.MULTILINE)
_VERDICT = ("Added value", "Report:")

Arguments = Callable[[str], Sequence[str]]


@dataclass(slots=True)
class Step:
    """One command and what came of it.

    Parameters
    ----------
    place : int
        When it is printed, from 0; the first writes its log to the terminal itself.
    arguments : callable
        Takes what the step `follows` has printed, and returns the arguments of the command.
    follows : Step, optional
        A step that must have ended, of whatever lane (default: none).
    aside : bool
        Whether it leaves the cores to other steps that want them.
    """

    place: int
    arguments: Arguments
    follows: Step | None = None
    aside: bool = False
    seconds: float = 0.0
    shown: str = ""
    printed: str = ""
    code: int | None = None
    process: subprocess.Popen[bytes] | None = None
    started: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


def lanes_of_demo(folder: Path) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Return the steps of the two lanes; those of simulated patients are aside."""
    cohort = str(folder / "simulated.parquet")
    held_out = ("--test-fraction", "0.3")
    real = Step(0, lambda _: ("train", "--dataset", "support2", "--outcome", "mortality"))
    promote = Step(1, lambda said: ("promote", REAL, _version(said)), follows=real)
    explain = Step(2, lambda _: ("explain", "--model", f"models:/{REAL}@champion"))
    simulate = Step(
        3, lambda _: ("simulate", "--patients", str(PATIENTS), "--out", cohort), aside=True
    )
    mortality = Step(
        4,
        lambda _: (
            *("train", cohort, "--outcome", "mortality", "--added-value", PANEL),
            *held_out,
        ),
        aside=True,
    )
    fracture = Step(
        5,
        lambda _: ("train", cohort, "--outcome", "fracture", *held_out),
        follows=simulate,
        aside=True,
    )
    by_markers = Step(
        6,
        lambda said: ("explain", "--model", f"models:/{SIMULATED}/{_version(said)}"),
        follows=mortality,
        aside=True,
    )
    return (real, promote, explain, fracture), (simulate, mortality, by_markers)


def run_lanes(
    lanes: Sequence[Sequence[Step]], *, started: float, command: Sequence[str] = OSTEON
) -> int:
    """Run the steps of each lane one after the other, all lanes at once, and print every step.

    A step is printed as soon as those before it are: a line with the seconds at which it started,
    the log while it lasts, then what it printed, but for lines of `Next`. The first step that fails
    ends the others.

    Parameters
    ----------
    lanes : sequence of sequence of Step
    started : float
        When the demo began, by `time.monotonic`.
    command : sequence of str
        What the arguments of each step are added to.

    Returns
    -------
    int
        0, or the exit code of the step that failed.
    """
    steps = sorted((step for lane in lanes for step in lane), key=lambda step: step.place)
    stop = threading.Event()
    with (
        tempfile.TemporaryDirectory() as scratch,
        ThreadPoolExecutor(len(lanes)) as pool,
    ):
        running = [
            pool.submit(_run_lane, lane, Path(scratch), started, command, stop) for lane in lanes
        ]
        try:
            for step in steps:
                if not _show(step, Path(scratch), running):
                    break
        finally:
            stop.set()
            for step in steps:
                if step.process is not None and step.process.poll() is None:
                    step.process.terminate()
    for of_lane in running:
        of_lane.result()
    return next((step.code for step in steps if step.code), 0)


def _run_lane(
    lane: Iterable[Step],
    scratch: Path,
    started: float,
    command: Sequence[str],
    stop: threading.Event,
) -> None:
    """Run steps one after the other until one fails or `stop` is set."""
    for step in lane:
        said = ""
        if step.follows is not None:
            while not step.follows.ended.wait(_LOOK_EVERY_S):
                if stop.is_set():
                    return
            if step.follows.code:
                return
            said = step.follows.printed
        if stop.is_set():
            return
        nice = _NICE if step.aside and shutil.which("nice") else ()
        arguments = step.arguments(said)
        step.seconds, step.shown = time.monotonic() - started, " ".join(arguments)
        output = scratch / f"{step.place}.out"
        with output.open("wb") as printed, _log(step, scratch).open("wb") as log:
            step.process = subprocess.Popen(
                [*nice, *command, *arguments], stdout=printed, stderr=log if step.place else None
            )
            step.started.set()
            step.code = step.process.wait()
        step.printed = output.read_text()
        step.ended.set()
        if step.code:
            return


def _show(step: Step, scratch: Path, running: Sequence[Future[None]]) -> bool:
    """Print a step while it lasts; return False if it failed or will not run."""
    while not step.started.wait(_LOOK_EVERY_S):
        if all(of_lane.done() for of_lane in running) and not step.started.is_set():
            return False
    typer.echo(f"\n[{step.seconds:.0f} s] osteon {step.shown}")
    with _log(step, scratch).open("rb") as log:
        while not step.ended.is_set():
            _pass_on(log.read())
            step.ended.wait(_LOOK_EVERY_S)
        _pass_on(log.read())
    for line in step.printed.splitlines():
        if not line.startswith("Next"):
            typer.echo(line)
    return not step.code


def _log(step: Step, scratch: Path) -> Path:
    return scratch / f"{step.place}.log"


def _pass_on(log: bytes) -> None:
    """Write what a step logged."""
    typer.echo(log.decode(errors="replace"), err=True, nl=False)


def _version(printed: str) -> str:
    """Return the version that a training run says it registered."""
    registered = _REGISTERED.search(printed)
    if registered is None:
        raise RuntimeError("the training run printed no registered version.")
    return registered.group(2)


def added_value_lines(printed: str) -> Iterator[str]:
    """Yield what a training run printed of the added value, and its report."""
    wanted = False
    for line in printed.splitlines():
        starts = line.startswith(_VERDICT)
        if (starts or wanted) and not line.startswith("Next"):
            yield line
        wanted = starts


def main() -> int:
    """Run the demo in the folder of the first argument."""
    started = time.monotonic()
    lanes = lanes_of_demo(Path(sys.argv[1]))
    try:
        code = run_lanes(lanes, started=started)
    except KeyboardInterrupt:
        return 130
    if code:
        return code
    printed = {step.place: step.printed for lane in lanes for step in lane}
    for outcome, place in (("mortality", 4), ("fracture", 5)):
        typer.echo(f"\nSimulated patients, {outcome}:")
        typer.echo("\n".join(added_value_lines(printed[place])))
    typer.echo(f"\nThe demo took {time.monotonic() - started:.0f} s after the install.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

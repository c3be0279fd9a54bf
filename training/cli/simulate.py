"""The command `osteon simulate`: patients whose true risks are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_schema.errors import UsageError
from training.cli.console import (
    JsonOption,
    print_command,
    print_json,
    print_lines,
    print_rows,
    working,
)
from training.simulation.scenarios import SCENARIOS

if TYPE_CHECKING:
    from training.simulation.published import Compared

__all__ = ["simulate"]

_CHECKED_PATIENTS, _FEWEST_CHECKED = 30_000, 2_000
_Progress = Callable[[str, int, int], None]


def simulate(
    patients: Annotated[
        int | None, typer.Option(help="Number of patients (default: 20000; 300 in scenario small).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed: the same seed, the same patients.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Cohort to write (.parquet or .csv).")] = None,
    truth: Annotated[
        Path | None, typer.Option(help="File to write with true risks and contributions.")
    ] = None,
    observations: Annotated[
        Path | None, typer.Option(help="File to write with blood samples of days 1 to 28.")
    ] = None,
    scenario: Annotated[
        str, typer.Option(help=f"Simulated population: {', '.join(SCENARIOS)}.")
    ] = "published",
    landmark: Annotated[
        str, typer.Option(help="Time zero: 24h, or 72h for patients alive in the ICU then.")
    ] = "24h",
    blank_share: Annotated[
        float,
        typer.Option(help="Share of markers not entered, at random; the true risks follow."),
    ] = 0.0,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with published figures; writes no cohort.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Simulate patients whose true risks are known.

    The column `simulated` of the cohort marks it as simulated, as do its identifiers, a fingerprint
    in its outcomes and times, and the metadata of a Parquet file; every model trained on any of
    them says so.
    """
    if check:
        stated = (scenario, landmark, blank_share) != ("published", "24h", 0.0)
        if out or truth or observations or stated:
            raise UsageError(
                "--check cannot be combined with --out, --truth, --observations, --scenario, "
                "--landmark or --blank-share."
            )
        _check(_CHECKED_PATIENTS if patients is None else patients, seed, as_json=as_json)
        return
    if out is None:
        raise UsageError("simulate needs --out or --check.")
    with working() as progress:
        result = _written(
            patients, seed, scenario, landmark, blank_share, out, truth, observations, progress
        )
    if as_json:
        print_json(asdict(result))
        return
    print_lines(
        [
            f"{result.patients} simulated patients ({scenario}), {result.deaths} deaths, "
            f"{result.fractures} fractures in {result.at_risk_of_fracture} who left the ICU "
            f"alive: {out}",
            *(f"True risks: {truth}" for _ in [truth] if truth),
            *(f"Observations: {observations}" for _ in [observations] if observations),
        ]
    )
    print_command("Next:", "train", str(out), "--outcome", "mortality", "--landmark", landmark)


@dataclass(frozen=True, slots=True)
class _Written:
    """What `--json` prints of a simulated cohort and its files."""

    patients: int
    scenario: str
    landmark: str
    blank_share: float
    seed: int
    deaths: int
    at_risk_of_fracture: int
    fractures: int
    out: str
    truth: str | None
    observations: str | None


def _written(
    patients: int | None,
    seed: int,
    scenario: str,
    landmark: str,
    blank_share: float,
    out: Path,
    truth: Path | None,
    observations: Path | None,
    progress: _Progress,
) -> _Written:
    """Write the cohort, and its truth and observations if they have a file."""
    from data_schema.table.simulated_marks import with_marks
    from training.files import require_table_path, table_in_parts
    from training.simulation.cohort import BLOCK_PATIENTS, DEFAULT_PATIENTS, simulated_blocks
    from training.simulation.scenarios import scenario as known
    from training.simulation.truth import Reference, truth_within

    for path in filter(None, (out, truth, observations)):
        require_table_path(path)
    if patients is None:
        patients = known(scenario).patients or DEFAULT_PATIENTS
    blocks = simulated_blocks(
        patients, seed=seed, scenario=scenario, landmark=landmark, blank_share=blank_share
    )
    count = -(-patients // BLOCK_PATIENTS)
    stays = deaths = at_risk = fractures = 0
    reference: Reference | None = None
    # Each block is written as it is made, so that memory does not grow with the patients.
    with ExitStack() as files:
        append = files.enter_context(table_in_parts(out))
        more = {
            path: files.enter_context(table_in_parts(path))
            for path in (truth, observations)
            if path is not None
        }
        for number, block in enumerate(blocks):
            append(with_marks(block.cohort, scenario))
            if truth is not None:
                step = partial(_true_risks, progress, number, count)
                table, reference = truth_within(block.world, reference, step)
                more[truth](table)
            if observations is not None:
                more[observations](block.observations)
            stays += len(block.cohort)
            deaths += int(block.cohort["mortality_event"].sum())
            if "fracture_event" in block.cohort:  # not in the cohort of 72 h
                at_risk += int(block.cohort["fracture_event"].notna().sum())
                fractures += int((block.cohort["fracture_event"] == 1).sum())
            progress("simulating", number + 1, count)
    return _Written(
        patients=stays,
        scenario=scenario,
        landmark=landmark,
        blank_share=blank_share,
        seed=seed,
        deaths=deaths,
        at_risk_of_fracture=at_risk,
        fractures=fractures,
        out=str(out),
        truth=None if truth is None else str(truth),
        observations=None if observations is None else str(observations),
    )


def _true_risks(progress: _Progress, block: int, blocks: int, share: float) -> None:
    """Report the progress of true risks, whose share is that of one block, over all blocks."""
    progress("true risks", int(100 * (block + share)), 100 * blocks)


def _check(patients: int, seed: int, *, as_json: bool) -> None:
    """Print simulated beside published figures; exit with 1 if one is not accepted."""
    if patients < _FEWEST_CHECKED:
        raise UsageError(
            f"patients of --check must be at least {_FEWEST_CHECKED}; got {patients}. "
            "With fewer, figures of small groups such as women over 90 are unreliable."
        )
    with working():
        from training.simulation.published import compare_with_published

        figures = compare_with_published(patients, seed=seed)
    passed = all(figure.passed for figure in figures)
    if as_json:
        print_json({"passed": passed, "figures": [figure.as_json() for figure in figures]})
    else:
        _print_check(figures)
    raise typer.Exit(0 if passed else 1)


def _print_check(figures: Sequence[Compared]) -> None:
    print_rows(
        ("", "figure", "simulated", "accepted", "published", "evidence"),
        [
            (
                "ok" if figure.passed else "NO",
                figure.item,
                f"{figure.simulated:.3g}",
                f"{figure.low:.3g} to {figure.high:.3g}"
                + (" (tolerance)" if figure.tolerance else ""),
                figure.published,
                f"{figure.row} [{figure.mark}]",
            )
            for figure in figures
        ],
        numbers=("simulated",),
    )
    accepted = sum(figure.passed for figure in figures)
    print_lines([f"{accepted} of {len(figures)} figures lie within their accepted range."])

"""The command `osteon simulate`: patients whose true risks are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_schema.errors import UsageError
from training.cli.console import JsonOption, print_json, print_lines, print_rows, working

if TYPE_CHECKING:
    from training.simulation.published import Compared

__all__ = ["simulate"]

_CHECKED_PATIENTS, _FEWEST_CHECKED = 30_000, 2_000


def simulate(
    patients: Annotated[
        int | None, typer.Option(help="How many; 20000 without it, 300 in scenario small.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same patients.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Cohort to write (.parquet or .csv).")] = None,
    truth: Annotated[
        Path | None, typer.Option(help="True risks and contributions to write, by patient.")
    ] = None,
    observations: Annotated[
        Path | None, typer.Option(help="Samples of days 1 to 28 to write, in long form.")
    ] = None,
    scenario: Annotated[str, typer.Option(help="World to draw from.")] = "published",
    landmark: Annotated[
        str, typer.Option(help="When they are seen: 24h; or 72h, alive in the ICU.")
    ] = "24h",
    check: Annotated[
        bool, typer.Option("--check", help="Print simulated beside published figures instead.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Draw simulated patients, with their true risks if asked; or check them against the papers.

    The cohort says in its column `simulated` that nobody real is in it, and every model of it does.
    """
    if check:
        files = [option for option in (out, truth, observations) if option]
        _check(files, scenario, landmark, patients, seed, as_json=as_json)
        return
    if out is None:
        raise UsageError("simulate must be given --out or --check; it has neither.")
    with working() as progress:
        result = _written(patients, seed, scenario, landmark, out, truth, observations, progress)
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
            f"Next: osteon train {out} --outcome mortality --landmark {landmark}",
        ]
    )


@dataclass(frozen=True, slots=True)
class _Written:
    """A simulated cohort and the files that hold it."""

    patients: int
    scenario: str
    landmark: str
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
    out: Path,
    truth: Path | None,
    observations: Path | None,
    progress: Callable[[str, int, int], None],
) -> _Written:
    """Write what was asked for and return what `--json` prints."""
    from training.files import require_table_path, write_table
    from training.simulation.cohort import DEFAULT_PATIENTS, simulate
    from training.simulation.scenarios import scenario as known
    from training.simulation.truth import truth_table

    for path in filter(None, (out, truth, observations)):
        require_table_path(path)
    usual = known(scenario).patients or DEFAULT_PATIENTS
    number = usual if patients is None else patients
    drawn = simulate(number, seed=seed, scenario=scenario, landmark=landmark)
    cohort = drawn.cohort
    write_table(cohort, out)
    if truth is not None:
        told = truth_table(
            drawn.world, progress=lambda share: progress("true risks", int(100 * share), 100)
        )
        write_table(told, truth)
    if observations is not None:
        write_table(drawn.observations, observations)
    # The cohort of 72 h tells no fracture.
    fracture = cohort.get("fracture_event", cohort["mortality_event"].iloc[:0])
    return _Written(
        patients=len(cohort),
        scenario=scenario,
        landmark=landmark,
        seed=seed,
        deaths=int(cohort["mortality_event"].sum()),
        at_risk_of_fracture=int(fracture.notna().sum()),
        fractures=int((fracture == 1).sum()),
        out=str(out),
        truth=None if truth is None else str(truth),
        observations=None if observations is None else str(observations),
    )


def _check(
    files: Sequence[Path],
    scenario: str,
    landmark: str,
    patients: int | None,
    seed: int,
    *,
    as_json: bool,
) -> None:
    """Print simulated beside published; exit 1 if a figure is not accepted."""
    if files or (scenario, landmark) != ("published", "24h"):
        raise UsageError("--check must stand without files, scenario and landmark; it does not.")
    number = _CHECKED_PATIENTS if patients is None else patients
    if number < _FEWEST_CHECKED:
        raise UsageError(
            f"patients of --check must be at least {_FEWEST_CHECKED}; got {number}. "
            "Figures of small groups, as of women over 90, mean nothing in fewer."
        )
    with working():
        from training.simulation.published import compare_with_published

        found = compare_with_published(number, seed=seed)
    failed = [one.item for one in found if not one.passed]
    if as_json:
        print_json({"passed": not failed, "figures": [one.as_json() for one in found]})
    else:
        _print_check(found)
    raise typer.Exit(1 if failed else 0)


def _print_check(found: Sequence[Compared]) -> None:
    print_rows(
        ("", "figure", "simulated", "accepted", "published", "evidence"),
        [
            (
                "ok" if one.passed else "NO",
                one.item,
                f"{one.simulated:.3g}",
                f"{one.low:.3g} to {one.high:.3g}" + (" (tolerance)" if one.tolerance else ""),
                one.published,
                f"{one.row} [{one.mark}]",
            )
            for one in found
        ],
        numbers=("simulated",),
    )
    accepted = sum(one.passed for one in found)
    print_lines([f"{accepted} of {len(found)} figures are within what is accepted."])

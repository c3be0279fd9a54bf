"""The command `osteon protocol`: the draft of a study of what a panel of markers adds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data_schema.outcomes import ENDPOINTS
from training.cli.console import JsonOption, print_command, print_json, print_lines, working
from training.cli.options import OverOption, names

__all__ = ["protocol"]


def protocol(
    outcome: Annotated[str, typer.Option(help=f"{', '.join(ENDPOINTS)}.")],
    panel: Annotated[
        str,
        typer.Option(
            help="Pathways or variables of the catalogue to judge, e.g. resorption,fgf23_c. Those "
            "joined by + count as one part."
        ),
    ],
    event_rate: Annotated[
        float,
        typer.Option(
            help="Expected risk by the primary horizon, e.g. 0.25; with a competing event, the "
            "cumulative incidence."
        ),
    ],
    expected_gain: Annotated[
        float, typer.Option(help="Expected gain in the AUC, above the margin of 0.01, e.g. 0.03.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Protocol to write (.md or .html); the settings lie beside it, in .toml."
        ),
    ],
    over: OverOption = "",
    horizon: Annotated[
        float | None,
        typer.Option(help="Primary horizon in days (default: the outcome's middle horizon)."),
    ] = None,
    landmark: Annotated[
        str,
        typer.Option(
            help="Hour of the sample, which is time zero: 24, 72 or discharge (default: 24 for "
            "mortality, discharge for fracture)."
        ),
    ] = "",
    base_auroc: Annotated[
        float | None,
        typer.Option(
            help="Expected AUC of the base (default: 0.70 to 0.85, of which the largest size "
            "counts)."
        ),
    ] = None,
    sites: Annotated[int, typer.Option(help="Number of sites, 2 or more.")] = 2,
    as_json: JsonOption = False,
) -> None:
    """Draft the protocol of a study of what a panel adds.

    All eligible patients are sampled at one hour, whatever was ordered; assays are blinded; base,
    panel, primary horizon and margin are fixed before the outcomes are read. The size follows from
    the precision of the gain and from Riley's criteria. What only the group can state is marked TO
    BE STATED BY THE GROUP.
    """
    with working():
        from training.protocol.design import design_of
        from training.protocol.document import write_protocol

        design = design_of(
            outcome_name=outcome,
            added=names(panel),
            over=names(over),
            landmark=landmark,
            horizon_days=horizon,
            event_rate=event_rate,
            expected_gain=expected_gain,
            base_auroc=base_auroc,
            sites=sites,
        )
        settings = write_protocol(design, out)
    if as_json:
        print_json(design.as_json() | {"out": str(out), "settings": str(settings)})
        return
    print_lines(
        [
            f"{design.needed:,} patients with a known outcome at {design.horizon_days:g} days: "
            f"{design.for_gain:,} for the gain, {design.development.needed:,} by Riley's criteria "
            f"({design.development.parameters} parameters), {design.for_sites:,} for "
            f"{design.sites} sites.",
            f"Protocol: {out}",
            f"Settings: {settings}",
        ]
    )
    print_command(
        "Once the cohort is complete:",
        *("train", "cohort.csv", "--outcome", design.outcome.endpoint),
        *("--landmark", design.landmark.words, "--config", str(settings)),
    )

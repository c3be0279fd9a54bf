"""Examples of every command, which its help ends with; a test reads each as the shell would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import typer

__all__ = ["EXAMPLES", "add_examples"]

EXAMPLES: Mapping[str, Sequence[str]] = {
    "map": (
        "osteon map cohort.csv --out mapping.toml",
        "osteon map EXPORT --source fhir --out codes.csv",
    ),
    "check": (
        "osteon check cohort.csv --mapping mapping.toml",
        "osteon check cohort.parquet --outcome mortality --strict",
    ),
    "diagnose": (
        "osteon diagnose cohort.csv --outcome mortality --mapping mapping.toml",
        "osteon diagnose cohort.parquet --outcome fracture --learning-curve",
    ),
    "landmark": (
        "osteon landmark EXPORT --source fhir --time-zero icu_admission+24h --out cohort.parquet",
        "osteon landmark DATA --source meds --codes m.toml --time-zero icu_discharge --out c.csv",
    ),
    "simulate": (
        "osteon simulate --patients 3500 --out simulated.parquet",
        "osteon simulate --check",
    ),
    "protocol": (
        "osteon protocol --outcome mortality --panel ctx_s,fgf23_c --event-rate 0.25 "
        "--expected-gain 0.03 --landmark 72 --sites 4 --out protocol.md",
        "osteon protocol --outcome fracture --panel resorption+formation --over person,bone_mass "
        "--event-rate 0.05 --expected-gain 0.04 --out protocol.html",
    ),
    "train": (
        "osteon train --dataset support2 --outcome mortality",
        "osteon train cohort.csv --mapping mapping.toml --outcome mortality --config run.toml",
        "osteon train simulated.parquet --outcome fracture --added-value resorption,formation",
    ),
    "score": (
        "osteon score others.csv --model models:/osteon-mortality@champion --out risks.parquet",
        "osteon score others.parquet --model models:/osteon-mortality/2 --explain --out risks.csv",
    ),
    "evaluate": (
        "osteon evaluate others.csv --model models:/osteon-mortality@champion --out evaluation",
        "osteon evaluate all.parquet --model models:/osteon-mortality@champion --dask local",
        "osteon evaluate cohort.csv --outcome mortality --added-value resorption",
    ),
    "explain": (
        "osteon explain --model models:/osteon-mortality@champion",
        "osteon explain others.csv --row 3 --horizon 90 --model models:/osteon-mortality/2",
    ),
    "recalibrate": (
        "osteon recalibrate local.csv --model models:/osteon-mortality/2",
        "osteon recalibrate new.csv --old trained.csv --model models:/osteon-mortality/2",
    ),
    "validate": (
        "osteon validate ours.csv --model models:/osteon-mortality/2 --out validation",
        "osteon validate ours.csv --model BUNDLE --site north --share for-the-owner",
    ),
    "pool": ("osteon pool site-a site-b site-c --out pooled",),
    "benchmark": (
        "osteon benchmark --dataset support2",
        "osteon benchmark --dataset burk2024 --folds 1 --sets veteran,grace",
        "osteon benchmark --scale --size 0.01",
    ),
    "promote": (
        "osteon promote osteon-mortality 2",
        "osteon promote osteon-mortality 2 --cohort local.csv --mapping mapping.toml",
    ),
    "monitor": (
        "osteon monitor arrived.csv --model models:/osteon-mortality@champion",
        "osteon monitor --from-trail --out page.html",
    ),
    "compare": ("osteon compare osteon-mortality",),
    "registry": ("osteon registry", "osteon registry osteon-mortality --json"),
    "rollback": ("osteon rollback osteon-mortality",),
    "withdraw": ('osteon withdraw osteon-mortality 2 --why "creatinine was read in another unit"',),
    "card": ("osteon card --model models:/osteon-mortality/2 --out card.xml",),
    "datasets": ("osteon datasets",),
    "serve": (
        "osteon serve",
        "osteon serve --demo",
        "osteon serve --model models:/osteon-mortality/2 --port 8080",
    ),
    "settings": ("osteon settings",),
    "doctor": ("osteon doctor", "osteon doctor --json"),
    "backup": ("osteon backup backup-2026-11-30",),
    "restore": ("osteon restore backup-2026-11-30",),
    "audit verify": ("osteon audit verify",),
    "audit export": ("osteon audit export --out trail.jsonl",),
    "audit prune": ("osteon audit prune",),
    "audit adopt": ("osteon audit adopt",),
    "keys create": ("osteon keys create ward-7 --role predict --days 90",),
    "keys list": ("osteon keys list",),
    "keys rotate": ("osteon keys rotate ID --grace-hours 24",),
    "keys revoke": ("osteon keys revoke ID",),
}
"""Command -> what one types."""


def add_examples(app: typer.Typer) -> None:
    """End the help of every command with its examples."""
    for name, command in _commands(app, ""):
        lines = "\n".join(f"  {example}" for example in EXAMPLES.get(name, ()))
        command.epilog = f"\b\nExamples:\n{lines}" if lines else None


def _commands(app: typer.Typer, above: str) -> Iterator[tuple[str, typer.models.CommandInfo]]:
    """Yield the commands of an application and of its groups, by their names."""
    for command in app.registered_commands:
        assert command.callback is not None
        yield f"{above}{command.name or command.callback.__name__}", command
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from _commands(group.typer_instance, f"{above}{group.name} ")

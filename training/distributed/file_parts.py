"""What workers share when each of them reads parts of one file: its row groups, and a model."""

from __future__ import annotations

import secrets
from functools import lru_cache
from pathlib import Path

from data_schema.errors import UsageError
from data_schema.table.header import refuse
from data_schema.table.row_groups import RowGroups
from models.inference.risk_model import RiskModel
from models.registry.bundle import write_bundle
from models.registry.lifecycle import load
from training.distributed.cluster import Cluster

__all__ = ["bundle_for_workers", "bundle_on_worker", "row_groups_for_workers"]


def row_groups_for_workers(path: Path) -> RowGroups:
    """Return the row groups of a Parquet file.

    Raises
    ------
    UsageError
        If it is another kind of file.
    RulesBroken
        If it has no rows.
    """
    if path.suffix.lower() != ".parquet":
        raise UsageError(
            f"--dask needs a .parquet file, of which each worker reads its row groups; got "
            f"{path.suffix or 'no suffix'}. Save the cohort as Parquet, or leave out --dask."
        )
    groups = RowGroups.of(path)
    if not groups.rows:
        refuse("no_rows", 0, "cohort must have at least one row; it has a header only.")
    return groups


def bundle_for_workers(cluster: Cluster, risk_model: RiskModel) -> Path:
    """Write a model where every worker reads it."""
    bundle = cluster.folder / f"model-{secrets.token_hex(4)}"
    write_bundle(risk_model, bundle)
    return bundle


@lru_cache(maxsize=1)
def bundle_on_worker(bundle: Path) -> RiskModel:
    """Return the model in a bundle, which a worker reads once."""
    return load(str(bundle)).risk_model

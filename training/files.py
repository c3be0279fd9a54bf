"""Write files whole or not at all: under a temporary name first, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from data_schema.errors import OutsideError, UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "require_folder",
    "require_new_folder",
    "require_table_path",
    "whole_file",
    "whole_folder",
    "write_table",
]


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to; it replaces `path` if the block succeeds, and is removed if not.

    It lies in the same folder and has the same suffix, so that writers choose the same format.
    """
    target = Path(path)
    require_folder(target)
    draft = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        yield draft
        draft.replace(target)
    except OSError as error:
        raise _not_written(target, error) from None
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield a folder to write to, as `whole_file` does; `path` must not exist."""
    target = Path(path)
    require_new_folder(target)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.mkdir()
        yield draft
        draft.replace(target)
    except OSError as error:
        raise _not_written(target, error) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table as Parquet or CSV, whole or not at all."""
    require_table_path(path)
    with whole_file(path) as draft:
        if draft.suffix == ".csv":
            frame.to_csv(draft, index=False)
        else:
            frame.to_parquet(draft, index=False)


def require_table_path(path: str | Path) -> None:
    """Refuse a path that no table can be written to, before anything is computed for it."""
    if Path(path).suffix not in (".parquet", ".csv"):
        raise UsageError(f"out must end in .parquet or .csv; got {Path(path).name}.")
    require_folder(path)


def require_new_folder(path: str | Path) -> None:
    """Refuse a folder that exists, so that old and new results are never mixed."""
    if Path(path).exists():
        raise UsageError(f"out must be a folder that does not exist yet; {path} exists.")
    require_folder(path)


def require_folder(path: str | Path) -> None:
    """Refuse a path whose folder does not exist, before anything is computed for it."""
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise UsageError(f"out must lie in an existing folder; {folder} does not exist.")


def _not_written(target: Path, error: OSError) -> OutsideError:
    return OutsideError(f"{target} could not be written: {error.strerror or 'unknown cause'}.")

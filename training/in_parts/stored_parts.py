"""The predictions for the parts of a large cohort, as arrays in a folder of each part."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.metrics.in_parts.judged_part import JudgedPart, Levels

__all__ = ["StoredParts", "store_part"]

_LEVELS = "levels.json"


@dataclass(frozen=True, slots=True)
class StoredParts:
    """Parts that can be read again and again, each only as far as it is used."""

    folders: tuple[Path, ...]

    def __iter__(self) -> Iterator[JudgedPart]:
        return map(_read, self.folders)


def store_part(part: JudgedPart, folder: Path, draft: Path) -> None:
    """Write a part, whole or not at all; one that another attempt has written is kept.

    Parameters
    ----------
    folder, draft : Path
        Of the part, and of this attempt at it, on the same file system.
    """
    arrays: dict[str, NDArray[np.generic]] = {
        "patient": part.patient,
        "time_days": part.time_days,
        "event": part.event,
        "risk": part.risk,
        "score": part.score,
        # Curves are most of the bytes; 7 digits of a risk are more than enough.
        "curve_risk": part.curve_risk.astype(np.float32),
        "answered": part.answered,
    }
    if part.competing_curve is not None:
        arrays["competing_curve"] = part.competing_curve.astype(np.float32)
    arrays |= {f"blanked {share}": risk for share, risk in part.blanked.items()}
    arrays |= {f"level {name}": levels.codes for name, levels in part.levels.items()}
    draft.mkdir(mode=0o700)
    for number, array in enumerate(arrays.values()):
        np.save(draft / f"{number}.npy", array)
    described = {
        "arrays": [*arrays],
        "levels": {name: levels.names for name, levels in part.levels.items()},
    }
    (draft / _LEVELS).write_text(json.dumps(described), encoding="utf-8")
    try:
        draft.rename(folder)
    except OSError:
        if not (folder / _LEVELS).is_file():
            raise
        shutil.rmtree(draft)


def _read(folder: Path) -> JudgedPart:
    described = json.loads((folder / _LEVELS).read_text(encoding="utf-8"))
    arrays = {
        name: np.load(folder / f"{number}.npy", mmap_mode="r")
        for number, name in enumerate(described["arrays"])
    }
    return JudgedPart(
        patient=arrays["patient"],
        time_days=arrays["time_days"],
        event=arrays["event"],
        risk=arrays["risk"],
        score=arrays["score"],
        curve_risk=arrays["curve_risk"],
        competing_curve=arrays.get("competing_curve"),
        blanked={
            float(name.removeprefix("blanked ")): array
            for name, array in arrays.items()
            if name.startswith("blanked ")
        },
        answered=arrays["answered"],
        levels={
            name: Levels(tuple(names), arrays[f"level {name}"])
            for name, names in described["levels"].items()
        },
    )

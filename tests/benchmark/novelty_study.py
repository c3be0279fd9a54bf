"""Print how many patients the novelty guard refuses: new patients, broken ones, wrong units.

    python tests/benchmark/novelty_study.py [--draws N] [--new N] [--sizes 140,500,2000]
        [--columns 6,20,40,80,150] [--dataset support2 --data FOLDER]

Made-up populations have a known law, so that beside each share stands the one that the best test
could reach: the likelihood ratio with true correlations, at the share of ordinary patients that the
guard may refuse. A guard can refuse nine in ten only where this test does. "Permuted": each value
is that of another patient. "Unit": a value that one column of the most strongly correlated half
would have in another unit. Limits: at most .5 % of new patients, whatever they lack; at least 90 %
of permuted patients and wrong units from 500 patients on, where the best test reaches 99 %.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.fitting.novelty import fit_novelty
from models.inference.contract import Novelty
from models.inference.novelty_scores import deviations

Floats = NDArray[np.float64]
Rng = np.random.Generator

UNIT_FACTORS = (10.0, 1000.0, 0.001, 88.4, 18.0, 1 / 18.0, 38.67)
BLANKED = (0.0, 0.2, 0.4, 0.6)
ALLOWED, WANTED, REACHABLE, FROM_PATIENTS = 0.005, 0.90, 0.99, 500
BEST_TEST_REFUSES = 0.002
KINDS = ("normal", "skewed", "long tails", "blocks missing")


@dataclass(frozen=True, slots=True)
class Population:
    """A Gaussian copula with markers' margins; on the log scale where `spread` is given."""

    kind: str
    correlation: Floats
    spread: Floats
    block: NDArray[np.int64]
    missing: Floats

    @classmethod
    def drawn(cls, kind: str, columns: int, rng: Rng) -> Population:
        """Draw the correlations of some factors, more of them among more columns."""
        shared = rng.uniform(*((0.85, 0.98) if columns <= 10 else (0.6, 0.95)), columns)
        factors = max(2, columns // 6)
        loadings = rng.normal(size=(columns, factors)) * (rng.random((columns, factors)) < 0.5)
        loadings += 1e-3
        loadings *= np.sqrt(shared / (loadings**2).sum(1))[:, None]
        blocks = max(2, columns // 8)
        return cls(
            kind,
            loadings @ loadings.T + np.diag(1 - shared),
            rng.uniform(0.2, 0.8, columns),
            rng.integers(0, blocks, columns),
            rng.uniform(0.05, 0.7, blocks),
        )

    def scores(self, patients: int, rng: Rng) -> Floats:
        """Draw normal scores."""
        root = np.linalg.cholesky(self.correlation)
        return rng.normal(size=(patients, len(root))) @ root.T

    def values(self, scores: Floats, rng: Rng) -> Floats:
        """Return what is measured of patients with these scores."""
        if self.kind == "normal":
            return 100 + 15 * scores
        if self.kind == "long tails":  # multivariate t with 5 degrees of freedom
            return 100 + 15 * scores * np.sqrt(5 / rng.chisquare(5, len(scores)))[:, None]
        values = np.exp(2 + self.spread * scores)
        if self.kind == "skewed":
            return values
        # Panels are ordered less often the sicker a patient is.
        share = np.clip(self.missing + 0.2 * np.tanh(scores[:, :1]), 0.02, 0.95)
        lost = rng.random(share.shape) < share
        return np.where(lost[:, self.block], np.nan, values)

    def scores_of(self, values: Floats) -> Floats:
        """Return the normal scores of values; those of long tails are scaled alone."""
        if self.kind in ("normal", "long tails"):
            return (values - 100) / 15
        return (np.log(values) - 2) / self.spread

    def best_test(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the likelihood ratio of permuted patients, and the largest residual."""
        scores = self.scores_of(values)
        present = ~np.isnan(scores)
        ratio, largest = np.zeros(len(scores)), np.zeros(len(scores))
        for i, (row, own) in enumerate(zip(scores, present, strict=True)):
            if own.any():
                z, precision = row[own], np.linalg.inv(self.correlation[np.ix_(own, own)])
                weighted = precision @ z
                ratio[i] = z @ weighted - z @ z
                largest[i] = np.abs(weighted / np.sqrt(np.diag(precision))).max()
        return ratio, largest


def refused(novelty: Novelty, values: Floats) -> NDArray[np.bool_]:
    """Return which patients the guard refuses."""
    limits = novelty.refuse_beyond
    assert limits is not None
    found = deviations(values[:, list(novelty.columns)], novelty)
    beyond = found.single > limits.single
    return beyond if limits.together is None else beyond | (found.together > limits.together)


def permuted(values: Floats, rng: Rng) -> Floats:
    """Return patients each of whose values is another patient's."""
    return np.column_stack([rng.permutation(column) for column in values.T])


def blanked(values: Floats, share: float, rng: Rng) -> Floats:
    """Return patients with a share of the values left out at random."""
    return np.where(rng.random(values.shape) < share, np.nan, values)


def shares(
    novelty: Novelty, new: Floats, used: int, rng: Rng, patients: int
) -> dict[str, float | Floats]:
    """Return the shares refused of new, blanked and permuted patients, and by wrong unit."""
    measured = new[np.isfinite(new[:, used])][:patients]
    units = []
    for factor in UNIT_FACTORS:
        wrong = measured.copy()
        wrong[:, used] *= factor
        units.append(refused(novelty, wrong).mean() if len(wrong) else np.nan)
    return {
        "new": np.array([refused(novelty, blanked(new, share, rng)).mean() for share in BLANKED]),
        "permuted": refused(novelty, permuted(new, rng)[:patients]).mean(),
        "units": np.array(units),
    }


def best(
    population: Population, new: Floats, used: int, rng: Rng, patients: int
) -> tuple[float, Floats]:
    """Return the shares of permuted patients and wrong units that the best test refuses."""
    ordinary = new[:2_000]
    limits = [np.quantile(of, 1 - BEST_TEST_REFUSES) for of in population.best_test(ordinary)]
    ratio, _ = population.best_test(permuted(new, rng)[:patients])
    measured = new[np.isfinite(new[:, used])][: patients // 2]
    units = []
    for factor in UNIT_FACTORS:
        wrong = measured.copy()
        wrong[:, used] *= factor
        units.append((population.best_test(wrong)[1] > limits[1]).mean())
    return float((ratio > limits[0]).mean()), np.array(units)


def cells(
    sizes: list[int], columns: list[int], draws: int, new: int, out: Callable[[str], None]
) -> Iterator[str]:
    """Judge every cell of made-up patients, and yield what misses its limit."""
    out(
        "patients columns population: new refused at 0/20/40/60 % blank; permuted (best test); "
        "wrong units refused where the best test refuses 99 %; seconds of a fit"
    )
    for size in sizes:
        for width in columns:
            for kind in KINDS:
                rows, tops, seconds = [], [], 0.0
                for draw in range(draws):
                    rng = np.random.default_rng([size, width, KINDS.index(kind), draw])
                    population = Population.drawn(kind, width, rng)
                    learned = population.values(population.scores(size, rng), rng)
                    fresh = population.values(population.scores(new, rng), rng)
                    started = time.process_time()
                    novelty = fit_novelty(learned, [f"x{i}" for i in range(width)])
                    seconds += time.process_time() - started
                    used = int(np.abs(population.correlation).sum(0).argmax())
                    rows.append(shares(novelty, fresh, used, rng, new // 4))
                    tops.append(best(population, fresh, used, rng, min(new // 4, 200)))
                fresh_refused = np.mean([row["new"] for row in rows], axis=0)
                mixed = float(np.mean([row["permuted"] for row in rows]))
                reachable_mixed = float(np.mean([top[0] for top in tops]))
                units = np.array([row["units"] for row in rows])
                can = np.array([top[1] for top in tops]) >= REACHABLE
                seen = float(units[can].mean()) if can.any() else np.nan
                name = f"{size} {width} {kind}"
                out(
                    f"{name}: {' '.join(f'{100 * s:.2f}' for s in fresh_refused)}; "
                    f"{100 * mixed:.1f} ({100 * reachable_mixed:.1f}); "
                    f"{100 * seen:.1f} ({can.sum()} of {can.size}); {seconds / draws:.2f} s"
                )
                if fresh_refused.max() > ALLOWED:
                    yield f"{name}: {100 * fresh_refused.max():.2f} % of new patients refused"
                if size < FROM_PATIENTS:
                    continue
                if kind != "long tails" and reachable_mixed >= REACHABLE and mixed < WANTED:
                    yield f"{name}: {100 * mixed:.1f} % of permuted patients refused"
                if can.any() and seen < WANTED:
                    yield f"{name}: {100 * seen:.1f} % of wrong units refused"


def real(name: str, draws: int, out: Callable[[str], None]) -> None:
    """Judge random halves of a data set, and each of its columns in a wrong unit."""
    from training.datasets.registry import load_dataset

    frame = load_dataset(name).features.select_dtypes("number").astype(float)
    everyone = frame.to_numpy()
    out(f"{name}: patients: new refused at 0/20/40/60 % blank; permuted; columns judged")
    for size in (140, 500, 2_000):
        if size > len(everyone) // 2:
            continue
        rows = []
        for draw in range(draws):
            rng = np.random.default_rng([size, draw])
            order = rng.permutation(len(everyone))
            novelty = fit_novelty(everyone[order[:size]], [str(c) for c in frame.columns])
            rows.append(shares(novelty, everyone[order[size:]], novelty.columns[0], rng, 500))
        fresh = np.mean([row["new"] for row in rows], axis=0)
        mixed = float(np.mean([row["permuted"] for row in rows]))
        out(
            f"{size}: {' '.join(f'{100 * s:.2f}' for s in fresh)}; {100 * mixed:.1f}; "
            f"{len(novelty.columns)}"
        )
    factors = ", ".join(f"{factor:.4g}" for factor in UNIT_FACTORS)
    out(f"the last of these: share refused, one column times {factors}:")
    for column in novelty.columns:
        units = np.atleast_1d(shares(novelty, everyone[order[size:]], column, rng, 300)["units"])
        out(f"  {frame.columns[column]}: {' '.join(f'{100 * share:.0f}' for share in units)}")


def main() -> int:
    """Print the shares refused; return 1 where one misses its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--new", type=int, default=4_000)
    parser.add_argument("--sizes", default="140,500,2000")
    parser.add_argument("--columns", default="6,20,40,80,150")
    parser.add_argument("--dataset", default="")
    parser.add_argument("--data", type=Path)
    stated = parser.parse_args()
    out = lambda line: print(line, flush=True)  # noqa: E731
    sizes, columns = (
        [int(n) for n in text.split(",") if n] for text in (stated.sizes, stated.columns)
    )
    missed = list(cells(sizes, columns, stated.draws, stated.new, out))
    if stated.data is not None:
        os.environ["OSTEON_DATA_DIR"] = str(stated.data)
    if stated.dataset:
        real(stated.dataset, stated.draws, out)
    for line in missed:
        out(f"MISSED {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

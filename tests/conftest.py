"""What tests of several kinds share: small trained models, and the service running.

Other imports stand inside the functions, so that a test that needs neither does not pay for them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    import httpx
    import uvicorn
    from fastapi import FastAPI

    from models.inference.risk_model import RiskModel
    from serving.prediction.served import ServedModel

# A busy machine is no reason to fail: the first example of a test pays for imports and caches.
settings.register_profile("osteon", deadline=None)
settings.load_profile("osteon")

# Holds the code of a bundle that an earlier version wrote.
collect_ignore = ["data"]

DISEASE_GROUPS = ("ARF/MOSF w/Sepsis", "Cirrhosis", "COPD")


def _patients(n: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return made-up patients and their log-odds, which no linear model follows all the way."""
    rng = np.random.default_rng(7)
    fgf23_c = np.exp(rng.normal(6, 1, n)).clip(80, 10_000).round(0)
    frame = pd.DataFrame(
        {
            "age": rng.normal(62, 14, n).clip(18.5, 99).round(1),
            "lactate": np.exp(rng.normal(0.5, 0.7, n)).clip(0.2, 25).round(2),
            "albumin": rng.normal(3, 0.7, n).clip(1, 5.5).round(1),
            "fgf23_c": fgf23_c,
            "fgf23_c__below": (fgf23_c <= 80).astype(float),
            "ctx_s": np.exp(rng.normal(6.2, 0.6, n)).clip(50, 5_000).round(0),
            "diabetes": rng.integers(0, 2, n).astype(float),
            "aps": rng.normal(40, 15, n).clip(0, 120).round(0),
            "sex": rng.choice(np.array(["female", "male"], dtype=object), n),
            "dzgroup": rng.choice(np.array(DISEASE_GROUPS, dtype=object), n),
        }
    )
    for column in ("lactate", "albumin", "fgf23_c", "ctx_s"):
        frame.loc[rng.random(n) < 0.15, column] = np.nan
    high_lactate = frame["lactate"].fillna(1.6) > 1.6
    low_albumin = frame["albumin"].fillna(3.0) < 3.0
    log_odds = 0.03 * (frame["age"] - 62) + 4.0 * (high_lactate ^ low_albumin) - 2.0
    return frame, log_odds.to_numpy()


def _fit(
    outcome: str,
    horizons_days: tuple[float, ...],
    competing_share: float,
    *,
    n: int = 300,
    interval_folds: int = 3,
    max_trees: int = 10,
) -> RiskModel:
    from data_schema.biomarkers import VARIABLES
    from data_schema.variables import Variable
    from models.estimator import CumulativeIncidenceModel
    from models.targets import survival_target

    frame, log_odds = _patients(n)
    rng = np.random.default_rng(8)
    times = rng.exponential(200 * np.exp(-log_odds))
    event = 1 + (rng.random(len(frame)) < competing_share)
    censored = rng.uniform(60, 800, len(frame))
    target = survival_target(
        np.minimum(times, censored).clip(0.5), np.where(times <= censored, event, 0)
    )
    own = {
        "aps": Variable("aps", "APS", "severity", unit="{score}", units={"{score}": 1.0}),
        "dzgroup": Variable(
            "dzgroup", "Disease group", "person", kind="category", categories=DISEASE_GROUPS
        ),
    }
    model = CumulativeIncidenceModel(
        horizons_days=horizons_days,
        outcome=outcome,
        variables={**VARIABLES, **own},
        # Large steps on all columns, so that ten trees have a say beside the linear part.
        max_trees=max_trees,
        max_depth=3,
        learning_rate=0.3,
        column_share=1.0,
        tuning_folds=3,
        interval_folds=interval_folds,
        n_jobs=1,
    )
    return model.fit(frame, target).risk_model_


def _served(risk_model: RiskModel, name: str, events: str) -> ServedModel:
    from contracts import restated
    from models.inference.contract import Evaluation, HeldOutMetric
    from models.registry.lifecycle import LoadedModel
    from serving.prediction.served import ServedModel

    described = restated(
        risk_model,
        name=name,
        outcome_label=f"Some {events}",
        event_label=events,
        event_singular=events.removesuffix("s"),
        event_verb="fracture" if events == "fractures" else "",
        is_death=events == "deaths",
        time_zero="24 h after ICU admission, alive",
        population="Made-up patients of a test.",
        population_described=True,
        simulated=True,
        evaluation=Evaluation(
            split="patient",
            stays=90,
            patients=88,
            events=30,
            refused=2,
            bootstrap_resamples=100,
            cohort_fingerprint="0" * 64,
            metrics=(HeldOutMetric("auroc", 28.0, 0.8, 0.7, 0.9),),
        ),
    )
    loaded = LoadedModel(
        described, sha256="0" * 64, name=name, version="3", alias="champion", run_id="a-run"
    )
    return ServedModel(loaded, promoted=True)


_OF_THE_TESTS = ("OSTEON_DATA_DIR", "OSTEON_BENCHMARK")


@pytest.fixture(scope="session", autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the state of every service out of the working directory, and settings of the shell out.

    Whoever serves the demo has its key and its registry there.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in [*os.environ]:
            # Where the data lie and what is slow are for whoever runs the tests to say.
            if name.startswith(("OSTEON_", "MLFLOW_")) and name not in _OF_THE_TESTS:
                patch.delenv(name)
        patch.setenv("OSTEON_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def patients() -> pd.DataFrame:
    """The patients that both models learned from."""
    return _patients(300)[0]


@pytest.fixture(scope="session")
def mortality() -> ServedModel:
    """A small model of death, with two variables of its own."""
    risk_model = _fit("mortality", (28.0, 90.0), competing_share=0.0)
    return _served(risk_model, "osteon-mortality-simulated", "deaths")


@pytest.fixture(scope="session")
def fracture() -> ServedModel:
    """A small model of fracture, with death competing."""
    risk_model = _fit("fracture", (90.0, 180.0), competing_share=0.3)
    return _served(risk_model, "osteon-fracture-simulated", "fractures")


def _of_real_patients(model: ServedModel) -> ServedModel:
    from dataclasses import replace

    from contracts import restated

    name = model.loaded.name.removesuffix("-simulated")
    real = restated(
        model.loaded.risk_model, name=name, simulated=False, population="Adults of two hospitals."
    )
    return replace(model, loaded=replace(model.loaded, risk_model=real, name=name))


@pytest.fixture(scope="session")
def real_mortality(mortality: ServedModel) -> ServedModel:
    """The model of death as if it had learned from real patients."""
    return _of_real_patients(mortality)


@pytest.fixture(scope="session")
def real_fracture(fracture: ServedModel) -> ServedModel:
    """The model of fracture as if it had learned from real patients."""
    return _of_real_patients(fracture)


def _sure(outcome: str, horizons_days: tuple[float, ...], share: float, events: str) -> ServedModel:
    """Return a model as if of real patients, of so many that its intervals are narrow."""
    from dataclasses import replace

    from contracts import restated
    from data_schema.outcomes import OUTCOMES

    fitted = _fit(
        outcome, horizons_days, competing_share=share, n=1_500, interval_folds=10, max_trees=1
    )
    model = _of_real_patients(_served(fitted, f"osteon-{outcome}-simulated", events))
    counted = restated(model.loaded.risk_model, time_zero=OUTCOMES[outcome].time_zero)
    return replace(model, loaded=replace(model.loaded, risk_model=counted))


@pytest.fixture(scope="session")
def sure_mortality() -> ServedModel:
    """A model of death whose intervals are narrow."""
    return _sure("mortality", (28.0, 90.0), 0.0, "deaths")


@pytest.fixture(scope="session")
def sure_fracture() -> ServedModel:
    """A model of fracture after discharge whose intervals are narrow."""
    return _sure("fracture", (90.0, 180.0), 0.3, "fractures")


@dataclass(frozen=True)
class _Running:
    """An application that answers in a thread of its own, and a client of it."""

    server: uvicorn.Server
    thread: threading.Thread
    client: httpx.Client


def _start(app: FastAPI) -> _Running:
    import httpx
    import uvicorn

    from serving.processes.timed_heads import TimedHeads

    config = uvicorn.Config(
        app, http=TimedHeads, port=0, log_config=None, access_log=False, server_header=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    # One request to a cold model may take seconds on a busy machine.
    return _Running(server, thread, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60))


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[FastAPI], httpx.Client]]:
    """Return a function that runs an application on a free port and returns a client of it."""
    started: list[_Running] = []

    def start(app: FastAPI) -> httpx.Client:
        started.append(_start(app))
        return started[-1].client

    yield start
    # All end at a time: each takes some tenths of a second, and there are dozens.
    for running in started:
        running.client.close()
        running.server.should_exit = True
    for running in started:
        running.thread.join()

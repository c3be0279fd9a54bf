from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from serving.audit.opening import database_of
from serving.store.tables import RISKS

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = [pytest.mark.filterwarnings("ignore:::mlflow"), pytest.mark.slow]


def stored(site: Any) -> list[tuple[str, str]]:
    with closing(database_of(site.audit_settings())) as database, database.reading() as connection:
        return [(row.model, row.version) for row in connection.execute(select(RISKS))]


def test_a_challenger_of_the_registry_scores_in_the_shadow_until_it_is_withdrawn(
    registry: Any, site_with: Callable[..., Any], until: Callable[..., None], tmp_path: Path
) -> None:
    from models.registry.withdrawal import withdraw

    site = site_with(OSTEON_STATE_DIR=str(tmp_path / "state"))
    challenger, shadow = f"{registry.name}@challenger", f"{registry.name}@shadow"
    with site.serving("--shadow", challenger) as service:
        request = service.request()
        answer = service.predict(request)
        assert answer.status_code == 200, answer.text
        served = {one["model"]["version"] for one in answer.json()["predictions"]}
        assert served == {registry.first.version}
        assert set(stored(site)) == {
            (registry.name, registry.first.version),
            (shadow, registry.second.version),
        }
        models = service.get("/v1/models").json()["models"]
        assert [one["version"] for one in models] == [registry.first.version]
        withdraw(registry.name, registry.second.version, why="Unfit.", by="a test")

        def scores_alone() -> bool:
            before = len(stored(site))
            service.predict(request | {"patient_id": f"patient-{before}"})
            return len(stored(site)) == before + 1

        until(scores_alone, "a withdrawn challenger must not score")
        assert service.ready()["models"][0]["version"] == registry.first.version
    assert {name for name, _ in stored(site)} == {registry.name, shadow}
    site.records()  # whole

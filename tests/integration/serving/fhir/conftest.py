"""A service with models of real patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel


@pytest.fixture(scope="module")
def client(serve: Any, real_mortality: ServedModel, real_fracture: ServedModel) -> httpx.Client:
    return serve(create_app(Settings(), models=[real_mortality, real_fracture]))

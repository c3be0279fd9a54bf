"""A trail of its own for each test, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from audit_records import settings_of
from serving.audit.opening import open_trail
from serving.audit.trail import AuditTrail
from serving.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return settings_of(tmp_path, database_url)


@pytest.fixture
def trail(settings: Settings) -> Iterator[AuditTrail]:
    with closing(open_trail(settings)) as opened:
        yield opened

"""A role of PostgreSQL that lacks rights: which ones serving needs, and what doctor says."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from audit_records import fill
from postgresql import running_postgresql
from serving.access import api_keys
from serving.audit.opening import open_trail
from serving.cli.surroundings import clock, database_rights
from serving.settings import Settings
from serving.store.rights import RIGHTS

pytestmark = pytest.mark.slow
KEY = "a key of more than sixteen characters"


def test_the_stated_rights_are_enough_and_each_lacking_one_is_named(tmp_path: Path) -> None:
    with running_postgresql() as server:
        import psycopg

        url = server.url.format(name="osteon")
        with psycopg.connect(server.url.format(name="postgres"), autocommit=True) as admin:
            admin.execute("CREATE DATABASE osteon")
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("CREATE ROLE ward LOGIN")
            owner.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
            owner.execute("GRANT USAGE ON SCHEMA public TO ward")
            mine = Settings(state_dir=tmp_path / "a", audit_key=KEY, database_url=url)
            wards = Settings(
                state_dir=tmp_path / "b",
                audit_key=KEY,
                database_url=url.replace("osteon@", "ward@"),
            )
            (bare,) = database_rights(wards)
            assert (bare.ok, "CREATE in schema" in bare.detail) == (False, True)
            with closing(open_trail(mine)) as trail:
                fill(trail, 3)
            (none,) = database_rights(wards)
            assert (none.ok, none.trouble) == (False, "outside")
            assert "more" in none.detail
            for table, rights in RIGHTS.items():
                owner.execute(f"GRANT {', '.join(rights)} ON {table} TO ward")
            (sequences,) = database_rights(wards)
            assert "USAGE on public.osteon_outcomes_id_seq" in sequences.detail
            owner.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ward")
            (well,) = database_rights(wards)
            assert well.ok
            with closing(open_trail(wards)) as trail:
                key, _ = api_keys.create(trail, "ward", ["predict"], days=None, actor="command:a")
                api_keys.revoke(trail, key.id, actor="command:a")
            owner.execute("REVOKE INSERT ON osteon_risks FROM ward")
            (lacking,) = database_rights(wards)
            assert "lacks INSERT on osteon_risks. Let it own" in lacking.detail
            owner.execute("REVOKE INSERT ON osteon_audit_records FROM ward")
            with (
                closing(open_trail(wards)) as trail,
                pytest.raises(Exception, match=r"refused \(InsufficientPrivilege\).*osteon doctor"),
            ):
                fill(trail, 1)
            (agrees,) = clock(mine)
            assert agrees.detail.endswith("of PostgreSQL")

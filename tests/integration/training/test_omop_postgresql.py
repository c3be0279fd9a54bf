"""An OMOP database in PostgreSQL is read like one in files."""

from __future__ import annotations

from datetime import datetime

import pytest

from data_schema.errors import UsageError
from postgresql import PostgreSQL, running_postgresql
from training.sources.observations import checked, connection, typed_relations
from training.sources.omop import Omop

STATEMENTS = (
    "CREATE SCHEMA cdm",
    "SET search_path = cdm",
    "CREATE TABLE person (person_id bigint, gender_concept_id int, year_of_birth int)",
    "INSERT INTO person VALUES (1, 8507, 1950)",
    "CREATE TABLE visit_occurrence (visit_occurrence_id bigint, person_id bigint, "
    "visit_concept_id int, visit_start_datetime timestamp, visit_end_datetime timestamp)",
    "INSERT INTO visit_occurrence VALUES (10, 1, 32037, '2026-11-01 06:00', '2026-11-04 08:00')",
    "CREATE TABLE measurement (person_id bigint, measurement_concept_id int, "
    "measurement_datetime timestamp, value_as_number numeric, unit_concept_id int, "
    "measurement_source_value text)",
    """INSERT INTO measurement VALUES (1, 3016723, '2026-11-01 07:00', 1.25, 8840, 'K"R;E,A'), """
    "(1, 0, '2026-11-01 08:00', NULL, NULL, E'two\\nlines'), (1, 0, NULL, 1, NULL, 'X')",
)


@pytest.fixture(scope="module")
def address() -> object:
    """Yield the address of a server with the tables in the schema `cdm`."""
    with running_postgresql() as server:
        yield _filled(server)


def _filled(server: PostgreSQL) -> str:
    import psycopg

    url = server.url.format(name="postgres")
    with psycopg.connect(url) as database:
        for statement in STATEMENTS:
            database.execute(statement)
    return url


def test_tables_are_read_from_the_schema_of_the_search_path(address: str) -> None:
    with connection() as db:
        dropped = Omop(f"{address}&options=-csearch_path%3Dcdm").relations(db)
        typed_relations(db)
        assert checked(db) == ()
        rows = db.execute(
            "SELECT code, time, numeric_value, unit FROM checked_observations ORDER BY time"
        ).fetchall()
        stays = db.execute("SELECT stay_id, icu_admission FROM checked_stays").fetchall()
    assert rows == [
        ("OMOP//3016723", datetime(2026, 11, 1, 7), 1.25, "mg/dL"),
        ("SOURCE//two\nlines", datetime(2026, 11, 1, 8), None, None),
    ]
    assert stays == [("10", datetime(2026, 11, 1, 6))]
    assert dropped == {"measurement: without a time": 1}


def test_a_schema_without_the_tables_is_refused(address: str) -> None:
    with (
        pytest.raises(UsageError, match="source must hold the OMOP table person"),
        connection() as db,
    ):
        Omop(address).relations(db)

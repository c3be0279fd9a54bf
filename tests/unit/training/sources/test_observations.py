import pytest

from data_schema.errors import UsageError
from training.sources.observations import checked, connection, typed_relations


def _relations(
    observations="SELECT 'p' AS subject_id, TIMESTAMP '2026-01-01' AS time, 'c' AS code",
):
    db = connection(memory="200MB", threads=1)
    db.execute(f"CREATE TABLE observations AS {observations}")
    db.execute("CREATE TABLE stays AS SELECT 'p' AS subject_id, 's' AS stay_id")
    db.execute("CREATE TABLE persons AS SELECT 'p' AS subject_id")
    return db


def test_columns_that_a_source_lacks_are_null():
    db = _relations()
    typed_relations(db)
    assert db.execute("SELECT numeric_value, unit FROM typed_observations").fetchall() == [
        (None, None)
    ]


def test_a_missing_column_that_every_row_needs_is_refused_by_name():
    db = _relations("SELECT 'p' AS subject_id, 'c' AS code")
    with pytest.raises(UsageError, match="observations must have the columns time"):
        typed_relations(db)


def test_rows_that_break_a_rule_are_left_out_and_counted():
    db = _relations(
        "SELECT 'p' AS subject_id, unnest(['2026-01-01', 'never', '2026-01-02']) AS time, 'c' AS "
        "code, unnest(['<', NULL, 'about']) AS comparator"
    )
    typed_relations(db)
    findings = checked(db)
    assert {(item.rule, item.count) for item in findings} == {("time_stated", 1), ("comparator", 1)}
    assert db.execute("SELECT count(*) FROM checked_observations").fetchone() == (1,)


def test_a_stay_stated_twice_is_refused():
    db = _relations()
    db.execute("INSERT INTO stays VALUES ('p', 's')")
    typed_relations(db)
    with pytest.raises(UsageError, match="stays must state each stay_id once; 1 occur"):
        checked(db)

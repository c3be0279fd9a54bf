import pandas as pd
import pytest

from data_schema.errors import UsageError
from training.sources.code_map import parse_code_map
from training.sources.draft import code_names, draft_code_map
from training.sources.meds import Meds
from training.sources.observations import connection


@pytest.fixture
def meds(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "metadata").mkdir()
    codes = ["L1", "L2", "L3", "LOINC//2160-0", "MEDICATION//Calcium"]
    pd.DataFrame(
        {
            "subject_id": 1,
            "time": pd.Timestamp("2026-01-01"),
            "code": codes,
            "numeric_value": [1.0, 250.0, 3.0, 1.0, None],
        }
    ).to_parquet(tmp_path / "data" / "0.parquet")
    described = {"L1": "Creatinine", "L2": "FGF23", "L3": "Zzyzx index"}
    pd.DataFrame({"code": [*described], "description": [*described.values()]}).to_parquet(
        tmp_path / "metadata" / "codes.parquet"
    )
    return tmp_path


def test_a_draft_names_what_is_certain_and_leaves_what_is_not_blank(meds):
    with connection(memory="200MB", threads=1) as db:
        draft = draft_code_map(db, Meds(meds), code_names(db, meds))
    assert (draft.named, draft.blanks) == (1, 1)
    assert '# "L3": Zzyzx index; 1 records, 1 numbers, median 3' in draft.text
    assert "LOINC" not in draft.text
    assert '# "MEDICATION//Calcium"' in draft.text  # a drug is no laboratory value
    with pytest.raises(UsageError, match="1 are blank"):
        parse_code_map(draft.text)
    filled = parse_code_map(draft.text.replace('variable = ""', 'variable = "fgf23_c"'))
    assert {code: entry[0].variable for code, entry in filled.codes.items()} == {
        "L1": "creatinine",
        "L2": "fgf23_c",
    }

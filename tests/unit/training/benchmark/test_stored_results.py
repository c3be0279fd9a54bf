"""Results of long comparisons survive a stop, and never mix with those of other code."""

import pytest

from training.benchmark.stored_results import (
    ESTIMATOR_CODE,
    ResultFile,
    code_fingerprint,
    results_folder,
)


def test_a_line_cut_off_by_a_stop_is_left_out_and_the_next_result_is_whole(tmp_path):
    file = ResultFile(tmp_path / "deep" / "results.jsonl")
    assert file.read() == []
    file.append({"fold": 1})
    with file.path.open("a") as cut_off:
        cut_off.write('{"fold": 2, "isb')
    assert file.read() == [{"fold": 1}]
    file.append({"fold": 2})
    assert file.read() == [{"fold": 1}, {"fold": 2}]


def written(tmp_path, text):
    (tmp_path / "code").mkdir(exist_ok=True)
    (tmp_path / "code" / "fit.py").write_text(text)
    return code_fingerprint(["code"], {"seed": 0}, root=tmp_path)


def test_a_changed_statement_or_setting_changes_the_fingerprint_and_a_comment_does_not(tmp_path):
    before = written(tmp_path, '"""A."""\nrate = 0.05\n')
    assert written(tmp_path, '"""B."""\n# Slow.\nrate = 0.05\n') == before
    assert code_fingerprint(["code"], {"seed": 1}, root=tmp_path) != before
    assert written(tmp_path, '"""A."""\nrate = 0.1\n') != before


def test_the_estimator_s_code_is_all_there():
    assert len(code_fingerprint(ESTIMATOR_CODE, {})) == 16
    with pytest.raises(ValueError, match="got nowhere"):
        code_fingerprint(["models/nowhere"], {})


def test_results_lie_in_the_state_folder_unless_another_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTEON_STATE_DIR", str(tmp_path))
    assert results_folder() == tmp_path / "benchmark"
    assert results_folder(tmp_path / "here") == tmp_path / "here"

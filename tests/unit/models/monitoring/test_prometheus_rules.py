from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from models.monitoring.prometheus_rules import prometheus_rules

# A month after a laboratory began to send higher values, its inputs have changed; before, and at
# another hospital that stayed as it was, they have not.
TEST = """
rule_files: [rules.yml]
evaluation_interval: 1d
tests:
  - interval: 1d
    input_series:
      - series: '{above}'
        values: '0+10x60 630+30x40'
      - series: '{within}'
        values: '0+30x60 1810+10x40'
    promql_expr_test:
      - {{expr: 'count(ALERTS{{alertname="OsteonInputsChanged"}}) or vector(0)', eval_time: 60d,
          exp_samples: [{{labels: '{{}}', value: 0}}]}}
      - {{expr: 'count(ALERTS{{alertname="OsteonInputsChanged"}}) or vector(0)', eval_time: 95d,
          exp_samples: [{{labels: '{{}}', value: 2}}]}}
"""


def series(place: str) -> str:
    labels = f'model="m",version="1",variable="lactate",place="{place}"'
    return f"osteon_input_values_total{{{labels}}}"


def test_promtool_accepts_the_rules_and_they_tell_a_change_from_another_hospital(
    tmp_path: Path,
) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt install prometheus)")
    assert len(json.loads(prometheus_rules())["groups"][0]["rules"]) == 7
    (tmp_path / "rules.yml").write_text(prometheus_rules())
    (tmp_path / "test.yml").write_text(TEST.format(above=series("above"), within=series("within")))
    for command in (["check", "rules", "rules.yml"], ["test", "rules", "test.yml"]):
        answer = subprocess.run(
            [promtool, *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr

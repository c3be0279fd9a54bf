from __future__ import annotations

import re

from models.monitoring.earlier import PeriodChange
from models.monitoring.page import chart_sections
from models.monitoring.watch import Watched, with_changes

NOTHING = Watched(
    model="m version 1",
    stays=500,
    checks=(),
    risks=(),
    expected=(),
    ratios=(),
    metrics=(),
    subgroups=(),
    calibration=None,
    alerts=(),
    events_needed=158,
    has_values=True,
)


def test_each_change_is_drawn_by_its_own_control_limit() -> None:
    # Two drifts have the limit 2.81, one missing share 2.58: 2.7 lies beyond it alone.
    changes = [
        PeriodChange("missing", "crp", "recorded", 2.7, 0.6, 0.7),
        PeriodChange("drift", "lactate", "location", 2.7, 0.6, 0.5),
        PeriodChange("drift", "risk", "mean", -0.1, 0.2, 0.2, horizon_days=90.0),
    ]
    watched = with_changes(NOTHING, changes, earlier_stays=1_500)
    assert [alert.variable for alert in watched.alerts] == ["crp"]
    (section,) = chart_sections(watched)
    assert section.chart.count('class="alert"') == 1
    assert [row[-1] for row in section.rows] == ["changed here", "no change", "no change"]
    assert section.rows[0][0] == "C-reactive protein (recorded)"
    assert section.rows[2][0] == "risk (mean, 90 days)"
    band, mark = (
        float(number)
        for pattern in (r'class="band"[^>]* x="([\d.]+)"', r'class="figure" cx="([\d.]+)"')
        for number in re.findall(pattern, section.chart)[:1]
    )
    assert mark > band


def test_a_long_label_gives_way_to_the_name() -> None:
    changes = [PeriodChange("drift", "gc_dose", "location", 0.1, 0.5, 0.5)]
    (section,) = chart_sections(with_changes(NOTHING, changes, earlier_stays=20))
    assert len(section.rows[0][0]) <= 40

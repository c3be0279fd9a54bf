"""The page: everything on it, nothing from elsewhere, readable without seeing it."""

import itertools
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from models.metrics.comparison.decision_curves import DecisionComparison
from models.metrics.comparison.likelihood_ratio import LikelihoodRatio
from models.metrics.comparison.net_benefit import TradeOff
from models.metrics.comparison.paired_changes import Change
from models.metrics.intervals import Interval
from models.metrics.metric import Metric
from models.wording import NOTICE
from training.cohorts.panel import Panel
from training.report.added_value import added_value_section
from training.report.content import Box, Picture, Section, Table, as_markdown
from training.report.page import SIMULATED, report_page
from training.report.patients import table_one
from training.report.performance import performance_section
from training.validation.limited_deaths import LimitedDeaths
from training.validation.panel_value import GroupValue, PanelTest, PanelValue, PathwayValue

SECTIONS = (
    Section(
        "First <things>",
        ("A sentence & more.",),
        (
            Table(
                "Counts by group",
                ("", "all", "some"),
                (("Heading",), ("row", "1", "2")),
                ("A note.",),
                numbers=True,
            ),
        ),
        (Picture("How to read it.", "What it shows.", 3.6, b"<svg/>"),),
        (Box("All", ("100 patients",), (Box("Some"), Box("Others"))),),
        (Section("A part", ("Inside.",)),),
    ),
    Section("Second", not_done="No analysis."),
)


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def page() -> Page:
    return Page(report_page("a model", "About it.", SECTIONS, simulated=False))


def test_the_page_needs_nothing_from_elsewhere(page: Page) -> None:
    sources = [attributes["src"] for attributes in page.all("img")]
    links = [attributes["href"] for tag in ("a", "link") for attributes in page.all(tag)]

    assert all(str(source).startswith("data:") for source in sources)
    assert all(str(link).startswith(("#", "data:")) for link in links)
    assert not page.all("script")
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_what_comes_from_a_cohort_is_escaped() -> None:
    text = report_page("<b>x</b>", "a & b", SECTIONS, simulated=False)

    assert "<b>x</b>" not in text
    assert "&lt;b&gt;x&lt;/b&gt;" in text
    assert "First &lt;things&gt;" in text


def test_headings_tables_and_pictures_can_be_read_out(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if tag in {"h1", "h2", "h3", "h4"}]

    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(image["alt"] for image in page.all("img"))
    assert {head["scope"] for head in page.all("th")} == {"col", "row", "rowgroup"}
    assert page.all("html")[0]["lang"] == "en"


def test_every_section_can_be_jumped_to(page: Page) -> None:
    anchors = {str(attributes["id"]) for attributes in page.all("section")}

    assert {"first-things", "second", "a-part"} <= anchors
    assert {f"#{a}" for a in ("first-things", "second")} <= {a["href"] for a in page.all("a")}


def test_an_analysis_that_was_not_done_is_named() -> None:
    assert "<strong>Not done.</strong> No analysis." in report_page(
        "m", "s", SECTIONS, simulated=False
    )
    assert "**Not done.** No analysis." in as_markdown("m", SECTIONS)


def test_every_page_states_that_patients_are_simulated() -> None:
    real = report_page("m", "s", SECTIONS, simulated=False)
    simulated = report_page("m", "s", SECTIONS, simulated=True)

    assert SIMULATED not in real
    assert f'<p class="banner" role="note">{SIMULATED}</p>' in simulated
    # The margin of each printed page, and the heading of each section.
    assert f'@top-center {{ content: "{SIMULATED}"' in simulated
    assert simulated.count('<span class="tag">simulated</span>') == len(SECTIONS)
    assert NOTICE in real


def test_markdown_has_the_same_tables() -> None:
    text = as_markdown("a model", SECTIONS)

    assert "| row | 1 | 2 |" in text
    assert "| **Heading** |  |  |" in text
    assert "### A part" in text
    assert "    - **Some**" in text


def test_a_metric_that_could_not_be_estimated_states_why() -> None:
    metrics = [
        Metric("auroc", 28.0, 0.81, 0.7, 0.9),
        Metric("auroc", 90.0, np.nan, np.nan, np.nan, "too few"),
    ]

    table = performance_section("Performance", metrics, resamples=100, basis="Of a test.").tables[0]

    assert table.rows[1][1:] == ("0.810 (0.700 to 0.900)", "not estimated: too few")


def change(metric: str, value: float) -> Change:
    return Change(metric, 28.0, None, 0.7, 0.7 + value, value, value - 0.01, value + 0.01)


def test_added_value_states_its_verdict_and_each_part() -> None:
    idi = replace(change("idi", 0.02), without=np.nan, with_panel=np.nan, secondary=True)
    nothing = Interval(np.zeros(1), np.zeros(1), np.zeros(1))
    value = PanelValue(
        outcome="mortality",
        event_label="deaths",
        population="Adults of two ICUs",
        simulated=False,
        panel=Panel(
            {"resorption": ("ctx_s",), "formation": ("p1np",)}, ("age",), not_in_base=("sofa",)
        ),
        stays=700,
        patients=700,
        events=120,
        folds=5,
        resamples=200,
        primary_horizon_days=28.0,
        primary=change("auroc", 0.03),
        verdict="adds",
        changes=(change("auroc", 0.03), idi),
        pathways=(
            PathwayValue(
                "resorption", ("ctx_s",), (change("auroc", 0.02),), (change("auroc", 0.025),)
            ),
        ),
        likelihood_ratio=PanelTest(LikelihoodRatio("Cox", 20.0, 2, 0.00001, 0.9), 4),
        trade_off=(TradeOff(0.1, 240.0, 110.0, np.inf),),
        decision=DecisionComparison(28.0, np.zeros(1), nothing, nothing, nothing, np.zeros(1)),
        not_judged={365.0: "needs more"},
        among_measured=GroupValue(350, 350, 70, 0.5, (change("auroc", 0.05),), {}),
        under_full_treatment=GroupValue(None, None, None, None, (), {28.0: "needs 10"}),
        limited_deaths=LimitedDeaths(120, 60, 0, is_recorded=True),
    )

    text = as_markdown("m", [added_value_section(value)])

    assert "Verdict: adds. The whole interval lies above the margin." in text
    assert "leaves out variables of usual care that the cohort records" in text
    assert "behind a gain: sofa." in text
    assert "variables measured: 350 (50 %), with 70 events. Change" in text
    assert "at 28 days among them: +0.0500 (+0.0400 to +0.0600)" in text
    assert "of treatment: withheld. Not estimated at 28 days: needs 10." in text
    assert "Deaths after a recorded limitation of treatment: 60 of 120 (50 %)." in text
    assert "Likelihood-ratio test (Cox; base in restricted cubic splines with 4 knots)" in text
    assert "with 95 % interval: +0.0300 (+0.0200 to +0.0400)" in text
    assert "| Bone resorption | +0.0200 (+0.0100 to +0.0300) |" in text
    assert "Not estimated at 365 days: needs more." in text
    assert "20.0 on 2 degrees of freedom, p < 0.0001; 90 % of the full model" in text
    assert "threshold of 10 %: 240 tests of the panel per additional" in text
    assert "(95 % interval 110 to no upper limit)" in text
    assert "| Integrated discrimination improvement | 28 |  |  | +0.0200" in text


def test_the_quartiles_of_a_variable_have_the_same_decimals_in_every_group() -> None:
    numbers = {"levels": [20, 0], "mean": None, "deviation": None}
    groups = [
        {"label": "all", "patients": 40, "stays": 40},
        {"label": "death by day 90", "patients": 20, "stays": 20},
    ]
    variables = [
        {
            "name": name,
            "label": label,
            "unit": unit,
            "pathway": "severity",
            "kind": "number",
            "levels": ["recorded", "not recorded"],
            "groups": [{**numbers, "quartiles": one}, {**numbers, "quartiles": other}],
        }
        for name, label, unit, one, other in (
            ("albumin", "Albumin", "g/dL", [2.4, 2.9, 3.6], [2.4, 3.0, 3.7]),
            ("sofa", "SOFA, total", "{score}", [4.0, 7.0, 9.0], [6.0, 8.0, 10.0]),
        )
    ]

    rows = table_one({"groups": groups, "variables": variables}, caption="Who").rows  # type: ignore[arg-type,typeddict-item]

    assert rows[-2][2:] == ("2.9 (2.4 to 3.6)", "3.0 (2.4 to 3.7)")
    assert rows[-1][2:] == ("7 (4 to 9)", "8 (6 to 10)")


def test_added_value_that_was_not_estimated_is_not_done() -> None:
    assert "--added-value" in added_value_section(None).not_done


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("<script>alert(1)</script>", r"\<script>alert(1)\</script>"),
        ("![x](https://elsewhere.example/x.png)", r"!\[x\](https://elsewhere.example/x.png)"),
        ("a | b", r"a \| b"),
        ("*bold* and `code` and _it_", r"\*bold\* and \`code\` and \_it\_"),
        ("two\nlines", "two lines"),
        ("&lt;b&gt;", r"\&lt;b\&gt;"),
        ("# heading", r"\# heading"),
        ("1. item", r"1\. item"),
        ("c_harrell < 0.8 & more", "c_harrell < 0.8 & more"),
    ],
)
def test_a_label_is_shown_by_markdown_as_it_is(label: str, shown: str) -> None:
    table = Table("", ("what", label), ((label, "1"), (label,)))
    text = as_markdown("m", [Section(label, sentences=(label,), tables=(table,))])
    assert f"## {shown}\n\n{shown}\n" in text
    assert f"| what | {shown} |" in text
    assert f"| {shown} | 1 |" in text
    assert f"| **{shown}** |  |" in text

"""The page as a clinician uses it, in Chromium."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from models.wording import NOTICE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx
    from playwright.sync_api import BrowserContext, Page

# What a sentence of ours never says of a marker, a drug or a patient.
FORBIDDEN = re.compile(
    r"\bbecause\b|\bdue to\b|protect|\bcaus(e|es|ed|ing|al)\b|\bleads? to\b|reduc(e|es|ed|ing)\b"
    r"|\bincreas(e|es|ed|ing)\b|\bwhat.?if\b|\bprevents?\b|\beffective\b|\bshould order\b",
    re.IGNORECASE,
)


def fill_in(page: Page, place: str = "In ICU", example: int = 0) -> None:
    """Say where the patient is and take an example patient."""
    page.get_by_label(place, exact=True).check()
    page.get_by_label("Example patient (made up)").select_option(index=example)
    with page.expect_response("**/page/entries"):
        page.get_by_role("button", name="Fill in").click()


def check(page: Page) -> None:
    page.get_by_role("button", name="Check the entries").click()
    page.get_by_role("heading", name="Is this what was measured?").wait_for()


def predict(page: Page) -> dict[str, Any]:
    """Press the last button and return what the service answered."""
    with page.expect_response("**/v1/predict") as answered:
        page.get_by_role("button", name="Yes, show the risk").click()
    page.get_by_role("heading", name="Estimate", exact=True).wait_for()
    return answered.value.json()["predictions"][0]


def to_the_estimate(page: Page, place: str = "In ICU", example: int = 0) -> dict[str, Any]:
    fill_in(page, place, example)
    check(page)
    return predict(page)


def charts(page: Page) -> None:
    page.locator("#waterfall .bars").wait_for()


def type_value(page: Page, column: str, value: str) -> None:
    with page.expect_response("**/page/entries"):
        page.locator(f"#v-{column}").fill(value)
        page.locator(f"#v-{column}").blur()


def wait_for_echo(page: Page, column: str, pattern: str) -> None:
    """Wait until the echo reads so: it is drawn after the answer to the entry has come."""
    page.locator(f"#e-{column}").filter(has_text=re.compile(pattern)).wait_for()


def test_it_asks_where_the_patient_is_before_anything_else(page: Page) -> None:
    assert page.get_by_text(NOTICE).first.is_visible()
    assert not page.locator("#form").is_visible()
    page.get_by_label("In ICU", exact=True).check()
    assert page.locator(".models:visible strong").all_inner_texts() == ["Some deaths"]
    page.get_by_label("Leaving ICU", exact=True).check()
    assert page.locator(".models:visible strong").all_inner_texts() == ["Some fractures"]
    assert "Death without the event competes" in page.locator(".models:visible").inner_text()


def test_what_was_entered_is_said_back_and_the_page_shows_what_the_service_answers(
    page: Page,
) -> None:
    fill_in(page)
    check(page)
    rows = dict(
        row.split("\t", 1) for row in page.locator("#review-table tbody").inner_text().splitlines()
    )
    assert "RU/mL" in rows["FGF23, C-terminal"]
    assert "upper reference limit" in rows["FGF23, C-terminal"]
    assert "within reference" in rows["Albumin"] or "lower reference limit" in rows["Albumin"]
    prediction = predict(page)
    for card, risk in zip(page.locator(".horizon").all(), prediction["risks"], strict=True):
        shown = card.inner_text()
        assert f"{risk['horizon_days']} days" in shown
        assert f"{round(100 * risk['risk'])} %" in shown
        low, high = (round(100 * risk["interval"][end]) for end in ("low", "high"))
        assert f"95 % interval {low} to {high}" in shown
        assert f"average patient: {round(100 * risk['cohort_risk'])} %" in shown
    for sentence in prediction["risks"][0]["sentences"]:
        assert page.get_by_text(sentence, exact=True).is_visible()
    assert prediction["model"]["name"] in page.locator("#origin").inner_text()


def test_the_points_are_the_models_and_a_pathway_opens_to_its_variables(page: Page) -> None:
    risk = to_the_estimate(page)["risks"][0]
    table = page.locator("#moved")
    opener = table.get_by_role("button", name="FGF23 and mineral")
    member = table.get_by_role("row", name=re.compile("^FGF23, C-terminal"))
    assert opener.get_attribute("aria-expanded") == "false"
    assert not member.is_visible()
    opener.press("Enter")
    assert opener.get_attribute("aria-expanded") == "true"
    assert opener.evaluate("one => one === document.activeElement")
    [fgf23] = [one for one in risk["contributions"] if one["variable"] == "fgf23_c"]
    sign = "+" if fgf23["points"] > 0 else "−"
    assert f"{sign}{abs(fgf23['points']):.1f}" in member.inner_text()
    assert f"{100 * risk['baseline_risk']:.1f}" in table.inner_text()
    assert f"{100 * risk['risk']:.1f}" in table.inner_text()
    charts(page)
    assert "FGF23, C-terminal" in page.locator("#waterfall").inner_text()


def test_another_horizon_changes_sentences_points_and_people(page: Page) -> None:
    later = to_the_estimate(page)["risks"][1]
    page.locator(".horizon input").nth(1).check()
    assert page.get_by_text(later["sentences"][0], exact=True).is_visible()
    assert f"{later['horizon_days']} days" in page.locator("#why-title").inner_text()
    assert page.locator("#people .dot.event").count() == round(100 * later["risk"])


def test_dying_first_stands_beside_fracture(page: Page) -> None:
    risk = to_the_estimate(page, "Leaving ICU")["risks"][0]
    first = round(100 * risk["competing_risk"])
    assert f"dies first: {first} %" in page.locator(".horizon").first.inner_text()
    assert page.locator("#people .dot").count() == 100
    assert page.locator("#people .dot.first").count() == first
    assert f"{first} dies first" in page.locator("#people-key").inner_text()
    charts(page)
    assert "Dots: death without the event." in page.locator("#curve-said").inner_text()


def test_a_number_that_can_mean_two_is_refused_and_the_way_to_it_is_shown(page: Page) -> None:
    fill_in(page)
    type_value(page, "fgf23_c", "1,471")
    wait_for_echo(page, "fgf23_c", "point as decimal mark")
    page.get_by_role("button", name="Check the entries").click()
    problem = page.locator("#problems")
    problem.wait_for()
    assert problem.evaluate("one => one === document.activeElement")
    assert not page.locator("#review").is_visible()
    problem.get_by_role("link").click()
    entry = page.locator("#v-fgf23_c")
    assert entry.evaluate("one => one === document.activeElement")
    assert entry.get_attribute("aria-invalid") == "true"
    type_value(page, "fgf23_c", "1471")
    wait_for_echo(page, "fgf23_c", r"^\s*1471 RU/mL")
    check(page)


def test_not_measured_and_below_limit_can_be_chosen(page: Page) -> None:
    fill_in(page)
    state = page.get_by_label("FGF23, C-terminal: how it was measured")
    with page.expect_response("**/page/entries"):
        state.select_option(label="not measured")
    assert page.locator("#v-fgf23_c").input_value() == ""
    with page.expect_response("**/page/entries"):
        state.select_option(label="below limit")
    wait_for_echo(page, "fgf23_c", "Enter the limit")
    type_value(page, "fgf23_c", "80")
    wait_for_echo(page, "fgf23_c", r"^\s*<80 RU/mL\s*$")
    type_value(page, "ctx_s", "<50")
    wait_for_echo(page, "ctx_s", r"^\s*<50 pg/mL")
    assert page.get_by_label("CTX-I (beta-CrossLaps), serum: how").input_value() == "<"
    check(page)
    prediction = predict(page)
    sent = {one["variable"]: one for one in prediction["risks"][0]["contributions"]}
    assert sent["fgf23_c"]["comparator"] == sent["ctx_s"]["comparator"] == "<"


def test_a_unit_is_chosen_and_converted_before_scoring(page: Page) -> None:
    fill_in(page)
    with page.expect_response("**/page/entries"):
        page.get_by_label("CTX-I (beta-CrossLaps), serum: unit").select_option(label="ng/mL")
    type_value(page, "ctx_s", "0.5")
    wait_for_echo(page, "ctx_s", r"^\s*0\.5 ng/mL = 500 pg/mL")
    check(page)
    sent = {one["variable"]: one for one in predict(page)["risks"][0]["contributions"]}
    assert sent["ctx_s"]["value"] == 500


def test_partial_input_is_welcome_and_what_is_missing_is_said(page: Page) -> None:
    fill_in(page)
    type_value(page, "ctx_s", "")
    check(page)
    assert predict(page)["missing"] == ["ctx_s"]
    assert "CTX-I (beta-CrossLaps), serum" in page.locator("#missing").inner_text()
    assert "Not measured (together)" in page.locator("#moved").inner_text()


def test_a_refusal_gives_no_number(page: Page) -> None:
    fill_in(page)
    type_value(page, "age", "15")
    check(page)
    predict(page)
    assert page.locator("#refusals").is_visible()
    assert "under 18" in page.locator("#refusals").inner_text()
    assert not page.locator("#risks").is_visible()
    assert page.locator("#said").inner_text() == "No risk is given."


def test_checking_an_entry_moves_one_value_and_leaves_age_sex_and_treatments_alone(
    page: Page,
) -> None:
    fill_in(page)
    page.locator("[data-column=rrt]").get_by_label("yes").check()
    check(page)
    predict(page)
    offered = page.get_by_label("Entry", exact=True)
    options = offered.locator("option").all_inner_texts()
    assert "Lactate" in options
    assert not {"Age", "Sex", "Renal replacement therapy"}.intersection(options)
    locked = page.locator("#check-locked").inner_text()
    assert all(name in locked for name in ("Age", "Sex", "Renal replacement therapy"))
    offered.select_option(label="Lactate")
    with page.expect_response("**/v1/predict") as answered:
        page.get_by_label("Value", exact=True).press("End")
    risk = answered.value.json()["predictions"][0]["risks"][0]
    page.locator("#check-said").get_by_text("not what treatment would do").wait_for()
    assert f"is {round(100 * risk['risk'])} %" in page.locator("#check-said").inner_text()


def test_nothing_of_the_patient_is_left_in_the_browser_or_leaves_the_host(
    browser: Callable[..., BrowserContext], page_service: httpx.Client, caplog: Any
) -> None:
    context = browser()
    requested: list[str] = []
    context.on("request", lambda request: requested.append(request.url))
    page = context.new_page()
    with caplog.at_level("DEBUG"):
        page.goto(str(page_service.base_url))
        fill_in(page)
        type_value(page, "lactate", "7.654")
        check(page)
        predict(page)
        charts(page)
    base = str(page_service.base_url)
    assert all(url.startswith(base) for url in requested)
    assert {url.removeprefix(base).split("/")[1] for url in requested} == {
        "", "page", "static", "v1",
    }  # fmt: skip
    assert "7.654" not in " ".join(requested)
    assert page.url.rstrip("/") == base.rstrip("/")
    assert context.cookies() == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert page.evaluate("indexedDB.databases()") == []
    assert page.evaluate("caches.keys()") == []
    assert "POST /v1/predict 200" in caplog.text
    assert "7.654" not in caplog.text


def test_the_policy_lets_nothing_inline_run_and_the_page_needs_nothing_inline(
    browser: Callable[..., BrowserContext], page_service: httpx.Client
) -> None:
    page = browser().new_page()
    page.add_init_script(
        "globalThis.broken = []; document.addEventListener('securitypolicyviolation', "
        "one => broken.push([one.effectiveDirective, one.sourceFile]))"
    )
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(str(page_service.base_url))
    to_the_estimate(page)
    charts(page)
    # Plotly brings the styles of its maps, which the page does not draw and the policy refuses.
    assert [
        (directive, source.rsplit("/", 1)[-1]) for directive, source in page.evaluate("broken")
    ] == [("style-src-elem", "plotly.min.js")]
    assert errors == []


def test_the_whole_way_can_be_gone_by_keyboard(page: Page) -> None:
    def tab_to(matches: str) -> None:
        for _ in range(150):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({matches!r})"):
                return
        raise AssertionError(f"no way by Tab to {matches}")

    tab_to(".skip")
    tab_to("input[name=place]")
    page.keyboard.press("Space")
    tab_to("#fill")
    with page.expect_response("**/page/entries"):
        page.keyboard.press("Enter")
    tab_to("button[type=submit]")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Is this what was measured?").wait_for()
    assert page.evaluate("document.activeElement.id") == "review-title"
    tab_to("[data-do=predict]")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Estimate", exact=True).wait_for()
    assert page.evaluate("document.activeElement.id") == "answer-title"
    assert "Estimate:" in page.locator("#said").inner_text()


def test_no_sentence_on_the_page_makes_a_marker_or_a_drug_the_reason(
    page: Page, page_service: httpx.Client
) -> None:
    texts = [page.locator("body").text_content()]
    for place, example in (("In ICU", 0), ("In ICU", 1), ("Leaving ICU", 0)):
        page.reload()
        fill_in(page, place, example)
        page.get_by_label("Also show what this model does not read").check()
        texts.append(page.locator("body").inner_text())
        check(page)
        texts.append(page.locator("body").inner_text())
        predict(page)
        charts(page)
        page.get_by_role("button", name="Open all pathways").click()
        texts.append(page.locator("body").inner_text())
    for model in ("mortality-simulated", "fracture-simulated"):
        page.goto(f"{page_service.base_url}/facts/{model}")
        texts.append(page.locator("body").inner_text())
    said = sorted({match[0] for text in texts for match in FORBIDDEN.finditer(text)})
    assert said == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_any_step(
    browser: Callable[..., BrowserContext], page_service: httpx.Client, theme: str
) -> None:
    axe_module = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = browser(color_scheme=theme).new_page()
    axe = axe_module.Axe()

    def violations() -> list[tuple[str, str]]:
        found = axe.run(page).response["violations"]
        return [(one["id"], node["html"][:200]) for one in found for node in one["nodes"]]

    base = str(page_service.base_url)
    page.goto(base)
    assert violations() == []
    fill_in(page, "Leaving ICU")
    type_value(page, "fgf23_c", "1,471")
    page.get_by_role("button", name="Check the entries").click()
    page.locator("#problems").wait_for()
    assert violations() == []
    type_value(page, "fgf23_c", "471")
    check(page)
    assert violations() == []
    predict(page)
    charts(page)
    page.get_by_role("button", name="Open all pathways").click()
    page.get_by_text("The curve as a table").click()
    assert violations() == []
    page.goto(f"{base}/facts/mortality-simulated")
    assert violations() == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_print_is_one_page_with_the_notice_and_without_checking_an_entry(
    browser: Callable[..., BrowserContext],
    page_service: httpx.Client,
    tmp_path: Path,
    theme: str,
) -> None:
    pdfium = pytest.importorskip("pypdfium2")
    page = browser(color_scheme=theme).new_page()
    page.goto(str(page_service.base_url))
    prediction = to_the_estimate(page, "Leaving ICU")
    charts(page)
    page.get_by_role("button", name="Open all pathways").click()
    page.pdf(path=tmp_path / "estimate.pdf", prefer_css_page_size=True)
    document = pdfium.PdfDocument(tmp_path / "estimate.pdf")
    assert len(document) == 1
    printed = " ".join(document[0].get_textpage().get_text_range().split())
    assert NOTICE in printed
    assert prediction["risks"][0]["sentences"][0] in printed
    assert prediction["model"]["name"] in printed
    assert "Check an entry" not in printed
    assert page.locator("html.paper").count() == 0


def test_it_fits_a_tablet_held_upright(
    browser: Callable[..., BrowserContext], page_service: httpx.Client
) -> None:
    page = browser(viewport={"width": 768, "height": 1024}, has_touch=True).new_page()
    page.goto(str(page_service.base_url))
    fill_in(page)
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(wider)
    small = page.evaluate(
        "[...document.querySelectorAll('#form button, #form select, #form input.value')]"
        ".filter(one => one.offsetParent && one.offsetHeight < 40).length"
    )
    assert small == 0
    check(page)
    predict(page)
    charts(page)
    assert not page.evaluate(wider)


def test_without_a_model_the_page_says_so(
    browser: Callable[..., BrowserContext], serve: Any
) -> None:
    from serving.app import create_app
    from serving.settings import Settings

    page = browser().new_page()
    page.goto(str(serve(create_app(Settings())).base_url))
    assert page.get_by_text("No promoted model is served here").is_visible()
    page.get_by_label("In ICU", exact=True).check()
    assert not page.locator("#form").is_visible()

"""The page in a browser: private, safe, for keyboard and screen reader, on paper and a tablet."""

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
from page_steps import charts, enter_value, open_all, to_the_estimate, type_value
from printed_text import printed

# What a sentence of ours never says of a marker, a drug or a patient.
FORBIDDEN = re.compile(
    r"\bbecause\b|\bdue to\b|protect|\bcaus(e|es|ed|ing|al)\b|\bleads? to\b|reduc(e|es|ed|ing)\b"
    r"|\bincreas(e|es|ed|ing)\b|\bwhat.?if\b|\bprevents?\b|\beffective\b|\bshould order\b",
    re.IGNORECASE,
)


def test_nothing_of_the_patient_is_left_in_the_browser_or_leaves_the_host(
    browser: Callable[..., BrowserContext], page_service: httpx.Client, caplog: Any
) -> None:
    context = browser()
    requested: list[str] = []
    context.on("request", lambda request: requested.append(request.url))
    page = context.new_page()
    with caplog.at_level("DEBUG"):
        page.goto(str(page_service.base_url))
        to_the_estimate(page)
        enter_value(page, "lactate", "7.654")
        charts(page)
    base = str(page_service.base_url)
    assert all(url.startswith(base) for url in requested)
    assert {url.removeprefix(base).split("/")[1] for url in requested} == {
        "", "page", "static", "v1",
    }  # fmt: skip
    assert "7.654" not in " ".join(requested)
    assert page.url.rstrip("/") == base.rstrip("/")
    assert context.cookies() == []
    # What is entered outlives a reload in this tab alone, and no "Clear all".
    assert page.evaluate("localStorage.length") == 0
    assert page.evaluate("Object.keys(sessionStorage)") == ["osteon"]
    page.get_by_role("button", name="Clear all").click()
    page.locator("#cleared").wait_for()
    assert page.evaluate("sessionStorage.length") == 0
    assert page.evaluate("indexedDB.databases()") == []
    assert page.evaluate("caches.keys()") == []
    assert "POST /v1/predict 200" in caplog.text
    assert "7.654" not in caplog.text


def test_nothing_is_lost_by_reload_back_or_clear_all(page: Page) -> None:
    before = to_the_estimate(page)
    enter_value(page, "lactate", "7.6")
    page.reload()
    page.locator("#answer").wait_for()
    assert page.locator("#v-lactate").input_value() == "7.6"
    page.locator("a[href^='/facts/']:visible").click()
    page.get_by_role("heading", name="Training patients").wait_for()
    page.go_back()
    page.locator("#answer").wait_for()
    assert page.locator("#v-lactate").input_value() == "7.6"
    page.get_by_role("button", name="Clear all").click()
    assert page.locator("#v-lactate").input_value() == ""
    with page.expect_response("**/v1/predict") as answered:
        page.get_by_role("button", name="Give it back").click()
    assert page.locator("#v-lactate").input_value() == "7.6"
    assert len(answered.value.request.post_data_json["measurements"]) > 5
    assert before["status"] == "ok"
    # Another tab of the same browser knows nothing of it.
    other = page.context.new_page()
    other.goto(page.url)
    assert other.locator("#v-lactate").input_value() == ""


def test_what_is_kept_ends_with_the_idle_limit(
    browser: Callable[..., BrowserContext], page_service: httpx.Client
) -> None:
    page = browser().new_page()
    page.clock.install()
    page.goto(str(page_service.base_url))
    to_the_estimate(page)
    assert page.evaluate("sessionStorage.length") == 1
    page.clock.run_for(16 * 60_000)
    assert page.evaluate("sessionStorage.length") == 0


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
    assert page.evaluate("broken") == []
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
    with page.expect_response("**/v1/predict"):
        page.keyboard.press("Enter")
    page.locator("#answer").wait_for()
    assert page.evaluate("document.activeElement.id") == "fill"
    assert "Estimate:" in page.locator("#announcement").inner_text()
    tab_to("#v-age")
    tab_to("[data-do=print]")


def test_no_sentence_on_the_page_makes_a_marker_or_a_drug_the_reason(
    page: Page, page_service: httpx.Client
) -> None:
    texts = [page.locator("body").text_content()]
    for place, example in (("In ICU", 0), ("In ICU", 1), ("Leaving ICU", 0)):
        page.reload()
        to_the_estimate(page, place, example)
        open_all(page)
        charts(page)
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
    to_the_estimate(page, "Leaving ICU")
    type_value(page, "fgf23_c", "1,471")
    page.get_by_text("No risk while an entry needs a look").first.wait_for()
    assert violations() == []
    enter_value(page, "fgf23_c", "471")
    charts(page)
    page.evaluate("for (const one of document.querySelectorAll('#answer details')) one.open = true")
    page.get_by_text("The curve as a table").click()
    assert violations() == []
    page.goto(f"{base}/facts/mortality-simulated")
    assert violations() == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_print_has_the_answer_on_one_page_and_the_rest_on_a_second(
    browser: Callable[..., BrowserContext],
    page_service: httpx.Client,
    tmp_path: Path,
    theme: str,
) -> None:
    pytest.importorskip("pypdfium2")
    page = browser(color_scheme=theme).new_page()
    page.goto(str(page_service.base_url))
    prediction = to_the_estimate(page, "Leaving ICU")
    page.pdf(path=tmp_path / "estimate.pdf", prefer_css_page_size=True)
    paper = printed(tmp_path / "estimate.pdf")
    first, second = paper.pages
    risk = prediction["risks"][0]
    assert NOTICE in first
    assert NOTICE in second
    for words in (risk["sentences"][0], risk["comparison"]["sentence"], prediction["validation"]):
        assert words in first
    largest = risk["contributions"][0]["words"]
    assert largest[1:] in first
    for one in (one for one in risk["contributions"] if one["measured"]):
        assert one["words"][1:] in second
    assert prediction["model"]["name"] in second
    # As typed, with its unit.
    [fgf23] = [one for one in risk["contributions"] if one["variable"] == "fgf23_c"]
    assert f"FGF23, C-terminal {fgf23['value']:g} RU/mL" in second
    assert "Check an entry" not in first + second
    assert paper.smallest_points >= 9
    assert page.locator("html.paper").count() == 0


def test_it_fits_a_tablet_held_upright(
    browser: Callable[..., BrowserContext], page_service: httpx.Client
) -> None:
    page = browser(viewport={"width": 768, "height": 1024}, has_touch=True).new_page()
    page.goto(str(page_service.base_url))
    to_the_estimate(page)
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(wider)
    small = page.evaluate(
        "[...document.querySelectorAll('#form button, #form select, #form input.value')]"
        ".filter(one => one.offsetParent && one.offsetHeight < 44).length"
    )
    assert small == 0
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

"""Visits to a running service's page, for the figures and the pictures of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTHS = {320: 640, 390: 844, 820: 1180, 1440: 900}
"""Width and height of each screen: a small and an ordinary phone, a tablet, a desk."""

THEMES = ("light", "dark")

LABORATORY_LIST = """Age 67
Sex female
APACHE II 24
SOFA 9
SAPS II 52
Na 138 mmol/L (135-145)
K 4.1 mmol/L
Crea 168 umol/L H
Urea nitrogen 31 mg/dL
Alb 24 g/L L
CRP 210 mg/L H
Hb 9.2 g/dL L
WBC 14.2 x10^9/L
Plt 88 x10^9/L
Bili 34 umol/L
Lactate 3.1 mmol/L
pH 7.31
HCO3 18 mmol/L
Phosphate 1.6 mmol/L
25(OH)D 38 nmol/L
CTX 0.9 ng/mL
P1NP 41 ng/mL
Estradiol 20 pg/mL
FGF23 C-terminal 1471 RU/mL
Osteocalcin 11 ng/mL
"""
"""What a ward copies: 25 lines, in the units of two laboratories."""


def launched(playwright: Any) -> Any:
    """Return Chromium of this machine, running in a new profile."""
    return playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))


def places(page: Any) -> list[str]:
    """Return the places whose models are served."""
    found = []
    for one in page.locator("input[name=place]").all():
        one.check()
        if page.locator("#form").is_visible():
            found.append(one.input_value())
    return found


def choose(page: Any, url: str, place: str) -> None:
    """Open the page and say where the patient is."""
    page.goto(url, wait_until="load")
    page.locator(f"input[name=place][value={place}]").check()
    page.locator("#form").wait_for()


def settle(page: Any) -> None:
    """Wait until the page has answered everything."""
    page.wait_for_load_state("networkidle")
    page.locator("#bar[aria-busy=false]").wait_for()


def fill_in(page: Any, url: str, place: str, example: int) -> None:
    """Take an example patient."""
    choose(page, url, place)
    page.locator("#example").select_option(index=example)
    with page.expect_response("**/v1/predict"):
        page.locator("#fill").click()
    settle(page)
    if page.locator("#risks").is_visible():
        page.locator("#curve svg").wait_for()


def enter(page: Any, column: str, value: str) -> None:
    page.locator(f"#v-{column}").fill(value)
    page.locator(f"#v-{column}").blur()
    settle(page)


def paste(page: Any, text: str) -> None:
    """Open the box, and paste a text that is read at once."""
    page.locator("#open-paste").click()
    with page.expect_response("**/page/pasted"):
        page.locator("#paste-text").fill(text)
    page.locator("#pasted-rows tbody tr").first.wait_for()


def states(page: Any, url: str, place: str) -> Iterator[str]:
    """Go through the page, and yield the name of each state while it is shown."""
    page.goto(url, wait_until="load")
    yield "opened"
    choose(page, url, place)
    settle(page)
    yield "entry"
    if page.locator("#v-albumin").is_visible():
        enter(page, "albumin", "29")
        page.locator(".entry[data-column=albumin] .info").click()
        yield "flagged"
    page.locator("#find").fill("calc")
    yield "search"
    choose(page, url, place)
    paste(page, f"{LABORATORY_LIST}Ca 2.1 mmol/L\nvancomycin 12 mg/L\nE2 40")
    yield "paste"
    page.locator("#close-paste").click()
    examples = page.locator("#example option").count()
    for example in range(examples):
        fill_in(page, url, place, example)
        if page.locator("#next-ask").is_visible():
            page.locator("[data-do=next-best]").click()
            page.locator("#next").wait_for()
        for one in page.locator("#answer details:visible").all():
            one.evaluate("one => { one.open = true; }")
        yield f"answer-{example}"
    enter(page, "age", "15")
    yield "refusal"
    page.locator("[data-do=clear]").first.click()
    settle(page)
    yield "cleared"
    page.locator("#rest > summary").click()
    page.locator(".group > summary").first.click()
    yield "all-fields"


def each_screen(browser: Any, visit: Callable[[Any, str, int], None]) -> None:
    """Call `visit` with a new page for each theme and width."""
    for theme in THEMES:
        for width, height in WIDTHS.items():
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=theme,
                has_touch=width < 1000,
            )
            page = context.new_page()
            page.set_default_timeout(60_000)
            visit(page, theme, width)
            context.close()

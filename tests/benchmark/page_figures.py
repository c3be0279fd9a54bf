"""Print the figures that the clinician's page is held to, measured in a real browser on loopback.

    python tests/benchmark/page_figures.py http://127.0.0.1:8000 [--json] [--only NAME ...]

The service must be running (`osteon serve` or `osteon serve --demo`); Chromium, Playwright,
axe-playwright-python and pypdfium2 must be installed. Exits with 1 if a figure is missed. Times are
of this machine: other work on it makes them longer.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from page_visits import (
    LABORATORY_LIST,
    WIDTHS,
    choose,
    each_screen,
    fill_in,
    launched,
    paste,
    places,
    settle,
    states,
)
from printed_text import printed
from ward_names import WARD_NAMES

UPDATES = 15

# From the commit of an entry to the frame in which the bar shows the answer to it.
WATCH = """(column) => {
  const field = document.getElementById(`v-${column}`);
  globalThis.updated = new Promise((done, failed) => {
    setTimeout(failed, 20_000, new Error(`no risk after ${column}`));
    new MutationObserver((_, watcher) => {
      watcher.disconnect();
      requestAnimationFrame(() => done(performance.now() - globalThis.committed));
    }).observe(document.getElementById("bar-risks"), { childList: true });
  });
  field.addEventListener("change", () => { globalThis.committed = performance.now(); }, {
    capture: true, once: true,
  });
}"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: what it is, what was measured, and whether that is what it should be."""

    name: str
    measured: str
    wanted: str
    reached: bool


def times(browser: Any, url: str) -> Iterator[Figure]:
    """Yield the seconds from opening the box to the first risk, and from an entry to its risk."""
    page = new_page(browser, 1440)
    place = place_of(page, url)
    choose(page, url, place)
    load = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    yield Figure("page load", f"{load:.0f} ms", "< 1000 ms", load < 1_000)
    settle(page)
    began = time.perf_counter()
    page.locator("#time-now").click()
    paste(page, LABORATORY_LIST)
    page.locator("#take-pasted").click()
    page.locator(".bar-cell").first.wait_for()
    seconds = time.perf_counter() - began
    lines = len(LABORATORY_LIST.splitlines())
    yield Figure(f"paste of {lines} lines to first risk", f"{seconds:.2f} s", "< 5 s", seconds < 5)
    fields = page.locator(".ward .entry.number:visible").all()
    columns = [
        str(one.get_attribute("data-column"))
        for one in fields
        if one.locator("input.value").input_value()
    ]
    waits = []
    for number in range(UPDATES):
        column = columns[number % len(columns)]
        field = page.locator(f"#v-{column}")
        value = field.input_value()
        page.evaluate(WATCH, column)
        field.fill(f"{float(value) * (1.01 if number % 2 else 0.99):.3g}")
        field.blur()
        waits.append(page.evaluate("updated"))
        settle(page)
    middle, worst = statistics.median(waits), max(waits)
    yield Figure(
        "risk after an entry", f"median {middle:.0f} ms, worst {worst:.0f} ms", "< 300 ms",
        middle < 300,
    )  # fmt: skip


def first_screen(browser: Any, url: str) -> Iterator[Figure]:
    """Yield fields and tab stops of the first screen, and how far a phone is from the bar."""
    for place in places_of(browser, url):
        page = new_page(browser, 1440)
        choose(page, url, place)
        settle(page)
        fields = page.locator(".ward .entry:visible").count() + 1  # with the time
        yield Figure(f"fields on the first screen ({place})", f"{fields}", "<= 24", fields <= 24)
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        stops = 0
        while stops < 300 and page.evaluate("document.activeElement.id") != "find":
            page.keyboard.press("Tab")
            stops += 1
        yield Figure(f"tab stops through all open fields ({place})", f"{stops}", "< 80", stops < 80)
    page = new_page(browser, 390)
    fill_in(page, url, place_of(page, url), 0)
    below = (
        "Math.max(0, document.getElementById('bar').getBoundingClientRect().bottom - innerHeight)"
    )
    page.evaluate("scrollTo(0, 0)")
    down = page.evaluate(below)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    above = page.evaluate(
        "Math.max(0, -document.getElementById('bar').getBoundingClientRect().top)"
    )
    yield Figure(
        "height before the bar at 390 px", f"{down:.0f} px, scrolled away {above:.0f} px", "0",
        down == 0 and above == 0,
    )  # fmt: skip


def ward_names(browser: Any, url: str) -> Iterator[Figure]:
    """Yield how many names of wards search and paste recognise."""
    page = new_page(browser, 1440)
    choose(page, url, place_of(page, url))
    known = page.evaluate("JSON.parse(document.getElementById('data').textContent).known")
    model = page.locator("input[name^=model-]:checked >> visible=true").first.input_value()
    searched, pasted = [], []
    for name, result, columns in WARD_NAMES:
        page.locator("#find").fill(name)
        shown = " ".join(page.locator("#matches li").all_inner_texts())
        if any(known[column]["label"] in shown for column in columns):
            searched.append(name)
        answer = page.request.post(
            f"{url}/page/pasted", data={"outcome": model, "text": f"{name} {result}"}
        )
        choices = [one["column"] for row in answer.json()["rows"] for one in row["choices"]]
        if choices and set(choices) <= columns:
            pasted.append(name)
    for where, found in (("search", searched), ("paste", pasted)):
        lost = ", ".join(name for name, _, _ in WARD_NAMES if name not in found)
        yield Figure(
            f"ward names known to {where}",
            f"{len(found)} of {len(WARD_NAMES)}" + (f" (not {lost})" if lost else ""),
            f"{len(WARD_NAMES)}",
            len(found) == len(WARD_NAMES),
        )


def accessibility(browser: Any, url: str) -> Iterator[Figure]:
    """Yield the violations that axe reports in every state, and pages wider than the screen."""
    from axe_playwright_python.sync_playwright import Axe

    axe, found, wide, small, seen = Axe(), [], [], [], 0

    def visit(page: Any, theme: str, width: int) -> None:
        nonlocal seen
        print(f"axe: {theme}, {width} px", file=sys.stderr, flush=True)
        for place in places_of(browser, url):
            for state in states(page, url, place):
                seen += 1
                where = f"{place} {state} {width} {theme}"
                for one in axe.run(page).response["violations"]:
                    found.append(f"{where}: {one['id']} at {one['nodes'][0]['html'][:90]}")
                    print(found[-1], file=sys.stderr, flush=True)
                if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                    wide.append(where)
                    print(f"{where}: wider than the screen", file=sys.stderr, flush=True)
                targets = page.evaluate(SMALL_TARGETS)
                if width < 1000 and targets:
                    small.append(f"{where}: {', '.join(targets[:3])}")
                    print(small[-1], file=sys.stderr, flush=True)

    each_screen(browser, visit)
    yield Figure(
        f"axe violations in {seen} states, themes and widths", "; ".join(found[:5]) or "0", "0",
        not found,
    )  # fmt: skip
    yield Figure("sideways scrolling from 320 px", "; ".join(wide[:5]) or "none", "none", not wide)
    yield Figure("targets under 44 px by touch", "; ".join(small[:5]) or "none", "none", not small)


# Controls a finger must meet; a radio's label is its target, and links within text are exempt.
SMALL_TARGETS = """[...document.querySelectorAll(
    'button, select, input:not([type=radio], [type=checkbox], [type=range]), summary, .choice')]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 43.5)
  .map((one) => one.id || one.className || one.textContent.trim().slice(0, 30))"""


def weight(browser: Any, url: str) -> Iterator[Figure]:
    """Yield what a browser fetches to open the page and show an answer."""
    page = new_page(browser, 1440)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    fetched: list[float] = []
    session.on("Network.loadingFinished", lambda event: fetched.append(event["encodedDataLength"]))
    fill_in(page, url, place_of(page, url), 0)
    kilobytes = sum(fetched) / 1_000
    yield Figure("page weight with an answer", f"{kilobytes:.0f} kB", "< 700 kB", kilobytes < 700)


def paper(browser: Any, url: str) -> Iterator[Figure]:
    """Yield the smallest letters of a print, and whether the answer fills one page."""
    smallest, whole = math.inf, True
    for place in places_of(browser, url):
        page = new_page(browser, 1440)
        fill_in(page, url, place, 0)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "estimate.pdf"
            page.pdf(path=path, prefer_css_page_size=True)
            pages = printed(path)
        smallest = min(smallest, pages.smallest_points)
        # The table of the first page ends with the patient's total, before the second page begins.
        whole &= "This patient" in pages.pages[0] and "Second page" in pages.pages[1][:20]
        page.context.close()
    yield Figure("smallest print text", f"{smallest:.1f} pt", ">= 9 pt", smallest >= 9)
    yield Figure("answer on one printed page", "yes" if whole else "no", "yes", whole)


def new_page(browser: Any, width: int) -> Any:
    """Return a page in a window that knows nothing of any other."""
    context = browser.new_context(viewport={"width": width, "height": WIDTHS[width]})
    page = context.new_page()
    page.set_default_timeout(60_000)
    return page


def place_of(page: Any, url: str) -> str:
    """Return the first place with a model."""
    page.goto(url, wait_until="load")
    return places(page)[0]


def places_of(browser: Any, url: str) -> list[str]:
    """Return every place with a model."""
    page = new_page(browser, 1440)
    page.goto(url, wait_until="load")
    found = places(page)
    page.context.close()
    return found


FIGURES: Mapping[str, Callable[[Any, str], Iterator[Figure]]] = {
    "times": times,
    "first-screen": first_screen,
    "ward-names": ward_names,
    "weight": weight,
    "paper": paper,
    "accessibility": accessibility,
}


def main() -> int:
    """Measure and print every figure, and fail if one is missed."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--only", nargs="*", choices=list(FIGURES), help="measure these only")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    measured = []
    with sync_playwright() as playwright:
        browser = launched(playwright)
        for name in asked.only or FIGURES:
            for figure in FIGURES[name](browser, asked.url.rstrip("/")):
                measured.append(figure)
                if not asked.json:
                    mark = "reached" if figure.reached else "MISSED"
                    print(f"{mark:8} {figure.name}: {figure.measured} (wanted {figure.wanted})")
        browser.close()
    if asked.json:
        print(json.dumps([asdict(one) for one in measured], indent=2))
    return 0 if all(one.reached for one in measured) else 1


if __name__ == "__main__":
    sys.exit(main())

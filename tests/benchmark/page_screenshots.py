"""Take pictures of the clinician's page, to be looked at: every step, theme and screen, and print.

    python tests/benchmark/page_screenshots.py http://127.0.0.1:8000 --out DIR

The service must be running (`osteon serve`, with `OSTEON_MENU` for what to measure next); Chromium
and Playwright must be installed, and pypdfium2 to count the pages of the print.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

THEMES = ("light", "dark")
SCREENS = {
    "desktop": {"width": 1280, "height": 900},
    "tablet-landscape": {"width": 1024, "height": 768},
    "tablet-portrait": {"width": 768, "height": 1024},
}


def places(page: Any) -> list[str]:
    """Return the places whose models are served."""
    found = []
    for one in page.locator("input[name=place]").all():
        one.check()
        if page.locator("#form").is_visible():
            found.append(one.input_value())
    return found


def to_answer(page: Any, url: str, place: str, *, example: int, age: str = "") -> None:
    """Fill in an example patient, and wait until what shows the risk is drawn."""
    page.goto(url, wait_until="load")
    page.locator(f"input[name=place][value={place}]").check()
    page.locator("#example").select_option(index=example)
    with page.expect_response("**/v1/predict"):
        page.locator("#fill").click()
    if age:
        with page.expect_response("**/v1/predict"):
            page.locator("#v-age").fill(age)
            page.locator("#v-age").blur()
    page.locator("#answer-title").wait_for()
    if page.locator("#risks").is_visible():
        page.locator("#curve svg").wait_for()


def steps(page: Any, url: str, place: str) -> Iterator[str]:
    """Go through the page, and yield the name of each state while it is shown."""
    page.goto(url, wait_until="load")
    page.locator(f"input[name=place][value={place}]").check()
    yield "entry"
    to_answer(page, url, place, example=1)
    if page.locator("#next-ask").is_visible():
        page.locator("[data-do=next-best]").click()
        page.locator("#next").wait_for()
    yield "answer-little-measured"
    to_answer(page, url, place, example=0)
    page.locator("[data-do=open-all]").click()
    yield "answer"
    to_answer(page, url, place, example=0, age="15")
    yield "refusal"


def print_pages(page: Any, url: str, place: str, path: Path) -> int:
    """Print an answer and return how many pages it takes."""
    import pypdfium2

    to_answer(page, url, place, example=0)
    page.pdf(path=path, prefer_css_page_size=True)
    document = pypdfium2.PdfDocument(path)
    document[0].render(scale=1.5).to_pil().save(path.with_suffix(".png"))
    return len(document)


def main() -> int:
    """Take every picture, print one JSON object, and fail if a print takes more than one page."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    pages = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for theme in THEMES:
            for screen, viewport in SCREENS.items():
                page = browser.new_context(viewport=viewport, color_scheme=theme).new_page()
                page.goto(asked.url)
                for place in places(page):
                    for step in steps(page, asked.url, place):
                        name = f"{place}-{step}-{screen}-{theme}.png"
                        page.screenshot(path=asked.out / name, full_page=True)
                    if screen == "desktop":
                        name = f"{place}-print-{theme}.pdf"
                        pages[name] = print_pages(page, asked.url, place, asked.out / name)
                page.goto(asked.url)
                facts = page.locator("a[href^='/facts/']").first.get_attribute("href")
                page.goto(asked.url.rstrip("/") + facts)
                page.screenshot(path=asked.out / f"facts-{screen}-{theme}.png", full_page=True)
                page.context.close()
        browser.close()
    taken = sorted(path.name for path in asked.out.glob("*.png"))
    print(json.dumps({"pictures": taken, "pages_printed": pages}, indent=2))
    return 0 if set(pages.values()) <= {1} else 1


if __name__ == "__main__":
    sys.exit(main())

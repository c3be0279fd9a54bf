"""Take pictures of the clinician's page, to be looked at: every state, four widths, both themes.

    python tests/benchmark/page_screenshots.py http://127.0.0.1:8000 --out DIR [--state NAME]

The service must be running (`osteon serve`, with `OSTEON_MENU` for what to measure next); Chromium
and Playwright must be installed, and pypdfium2 for the pages of the print.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from page_visits import THEMES, each_screen, fill_in, launched, places, settle, states


def print_pages(page: Any, url: str, place: str, path: Path) -> int:
    """Print an answer, draw its pages and return how many there are."""
    import pypdfium2

    fill_in(page, url, place, 0)
    page.pdf(path=path, prefer_css_page_size=True)
    document = pypdfium2.PdfDocument(path)
    for number in range(len(document)):
        picture = document[number].render(scale=1.5).to_pil()
        picture.save(path.with_name(f"{path.stem}-{number + 1}.png"))
    return len(document)


def main() -> int:
    """Take every picture and print one JSON object."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--state", help="take this state only")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    url, pages = asked.url.rstrip("/"), {}
    with sync_playwright() as playwright:
        browser = launched(playwright)

        def visit(page: Any, theme: str, width: int) -> None:
            page.goto(url)
            for place in places(page):
                for state in states(page, url, place):
                    if asked.state in (None, state):
                        path = asked.out / f"{place}-{state}-{width}-{theme}.png"
                        page.screenshot(path=path, full_page=state != "paste")
            page.goto(url + str(page.locator("a[href*='/facts/']").first.get_attribute("href")))
            page.screenshot(path=asked.out / f"facts-{width}-{theme}.png", full_page=True)

        each_screen(browser, visit)
        for theme in THEMES:
            page = browser.new_context(color_scheme=theme).new_page()
            page.goto(url)
            for place in places(page):
                name = f"{place}-print-{theme}.pdf"
                pages[name] = print_pages(page, url, place, asked.out / name)
                settle(page)
        browser.close()
    taken = sorted(path.name for path in asked.out.glob("*.png"))
    print(json.dumps({"pictures": taken, "pages_printed": pages}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

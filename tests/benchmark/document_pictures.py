"""Take the pictures of the documents: the real page, with an estimate and with a refusal.

    osteon serve --demo &
    python tests/benchmark/document_pictures.py http://127.0.0.1:8000

in the folder of the how-to pages, or after `make demo`: what is pictured is a model of simulated
patients, and says so. The pictures go to `docs/_static/pictures`, with few colours so that they
stay small. Look at them before they are committed. Chromium and Playwright must be installed.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from page_visits import choose, enter, fill_in, launched, places, settle

OUT = Path(__file__).parents[2] / "docs" / "_static" / "pictures"
COLOURS = 64
WIDTH = 1000
NO_CHILD = "16"
IN_PLACE = "one => { one.style.position = 'static'; }"


def save(picture: bytes, name: str) -> int:
    """Write a picture with few colours; return its size in bytes."""
    from PIL import Image

    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.png"
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(COLOURS).save(path, optimize=True)
    return path.stat().st_size


def part(page: Any, first: str, last: str) -> bytes:
    """Return what lies between the top of one element and the bottom of another."""
    boxes = [page.locator(one).bounding_box() for one in (first, last)]
    top, bottom = boxes[0]["y"] - 8, boxes[1]["y"] + boxes[1]["height"] + 8
    clip = {"x": 0, "y": top, "width": WIDTH, "height": bottom - top}
    picture: bytes = page.screenshot(clip=clip, full_page=True)
    return picture


def main() -> int:
    """Take every picture and print the sizes as one JSON object."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    url = parser.parse_args().url.rstrip("/")
    sizes = {}
    with sync_playwright() as playwright:
        browser = launched(playwright)
        page = browser.new_context(
            viewport={"width": WIDTH, "height": 900}, color_scheme="light"
        ).new_page()
        page.set_default_timeout(60_000)
        page.goto(url)
        (place, *_) = places(page)
        fill_in(page, url, place, 0)
        page.evaluate("window.scrollTo(0, 0)")
        sizes["page"] = save(page.screenshot(), "page")
        # The bar that stays in sight would cover what is pictured.
        page.locator("#bar").evaluate(IN_PLACE)
        sizes["estimate"] = save(part(page, "#answer-title", "#readings"), "estimate")
        sizes["curve"] = save(part(page, "#people-title", "#curve-caption"), "curve")
        sizes["drivers"] = save(part(page, "#why-title", "#moved"), "drivers")
        choose(page, url, place)
        fill_in(page, url, place, 0)
        enter(page, "age", NO_CHILD)
        settle(page)
        page.locator("#bar").evaluate(IN_PLACE)
        sizes["refused"] = save(part(page, "#answer-title", "#refusals"), "refused")
        browser.close()
    print(json.dumps(sizes))
    return 0


if __name__ == "__main__":
    sys.exit(main())

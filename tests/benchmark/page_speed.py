"""Print how fast the page loads on loopback and how soon after the last entry a risk is shown.

    python tests/benchmark/page_speed.py http://127.0.0.1:8000

The service must be running (`osteon serve`); Chromium and Playwright must be installed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
from typing import Any

LOAD_LIMIT_MS = 1_000
RISK_LIMIT_MS = 150
ROUNDS = 10

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# From the press of the button to the frame in which the number is drawn; charts come after it.
WATCH = """() => {
  globalThis.shown = new Promise((done) => {
    new MutationObserver(() => {
      if (!document.querySelector("#horizons .risk b")) return;
      requestAnimationFrame(() => done(performance.now() - pressed));
    }).observe(document.getElementById("horizons"), { childList: true });
  });
  const button = document.getElementById("fill");
  button.addEventListener("click", () => { globalThis.pressed = performance.now(); }, true);
}"""


def measured(page: Any, url: str) -> tuple[float, float]:
    """Return the milliseconds to load the page and to show the first risk."""
    page.goto(url, wait_until="load")
    load = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    place = page.locator("input[name=place]")
    for choice in place.all():
        choice.check()
        if page.locator("#form").is_visible():
            break
    page.wait_for_function("globalThis.Plotly")  # loaded behind the form, long before anyone ends
    page.evaluate(WATCH)
    page.locator("#fill").click()
    return load, page.evaluate("shown")


def main() -> int:
    """Measure in new windows, print one JSON object, and fail beyond a limit."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    url = parser.parse_args().url
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        rounds = []
        for _ in range(ROUNDS):
            window = browser.new_context()  # nothing cached: as on the first visit
            rounds.append(measured(window.new_page(), url))
            window.close()
        browser.close()
    load, risk = ([one[which] for one in rounds] for which in (0, 1))
    result = {
        "rounds": ROUNDS,
        "page_load_ms": {"median": statistics.median(load), "worst": max(load)},
        "first_risk_ms": {"median": statistics.median(risk), "worst": max(risk)},
        "limits_ms": {"page_load": LOAD_LIMIT_MS, "first_risk": RISK_LIMIT_MS},
    }
    print(json.dumps(result, indent=2))
    within = statistics.median(load) < LOAD_LIMIT_MS and statistics.median(risk) < RISK_LIMIT_MS
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())

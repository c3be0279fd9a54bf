"""Print what the pages of a run must reach: pages, contradictions, TRIPOD+AI items, metrics.

    MLFLOW_TRACKING_URI=sqlite:///demo/mlflow.db python tests/benchmark/report_figures.py

For the newest finished run of every registered model: pages of the report on A4 (Chromium's PDF;
fewer than 20), contradictions between report, model card, MLflow's description, facts page and gate
record (0), parts of TRIPOD+AI with content or a link (at least 48 of 52 for a public data set), and
metrics of the run (at most 60). Exits with 1 if one is missed. Chromium, Playwright and pypdfium2
must be installed.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from models.registry.lifecycle import CHAMPION, load
from models.registry.tracking import connect
from models.registry.versions import GATE_FILE, Version, list_models, whole_gate_record
from serving.page.rendering import facts_page
from serving.prediction.served import ServedModel

SUPPORT = str(Path(__file__).parents[1] / "support")
MOST_PAGES, FEWEST_ITEMS, MOST_METRICS = 20, 48, 60


def pages_of(report: str) -> int:
    """Return the number of A4 pages that Chromium prints."""
    import pypdfium2
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.set_content(report, wait_until="load")
        path = Path(scratch, "report.pdf")
        page.pdf(path=path, prefer_css_page_size=True)
        browser.close()
        return len(pypdfium2.PdfDocument(path))


def tripod_items(report: str) -> tuple[int, int]:
    """Return how many parts of TRIPOD+AI hold content or a link in a report, and all of them."""
    from shown_figures import tables_of_html

    (table,) = (t for t in tables_of_html(report) if t.caption == "TRIPOD+AI, item by item")
    items = [row for row in table.rows[1:] if len(row) == 4]
    return sum(row[2] != "open" and bool(row[3].strip()) for row in items), len(items)


def figures_of(version: Version) -> dict[str, Any]:
    """Return the figures of the run behind a version."""
    from shown_figures import contradictions

    client = connect().MlflowClient()
    run = client.get_run(version.run_id)
    with tempfile.TemporaryDirectory() as scratch:

        def artifact(name: str) -> str:
            path = client.download_artifacts(version.run_id, name, scratch)
            return Path(path).read_text(encoding="utf-8")

        report, card = artifact("report.html"), artifact("model_card.md")
        gate = artifact(GATE_FILE) if version.gate_record is not None else None
    loaded = load(version.model_uri)
    record = whole_gate_record(version)
    by_the_run = record is not None and record.cohort_fingerprint == getattr(
        loaded.risk_model.contract.evaluation, "cohort_fingerprint", ""
    )
    found, compared = contradictions(
        loaded.risk_model.contract,
        report=report,
        card=card,
        note=client.get_model_version(version.name, version.version).description,
        facts=facts_page(ServedModel(loaded, promoted=CHAMPION in version.aliases)),
        gate=gate if by_the_run else None,
    )
    filled, items = tripod_items(report)
    taken = {
        name.removeprefix("fit/").removesuffix("_seconds"): seconds
        for name, seconds in run.data.metrics.items()
        if re.fullmatch(r"fit/\w+_seconds", name)
    }
    whole = (run.info.end_time - run.info.start_time) / 1000
    return {
        "model": f"{version.name} {version.version}",
        "pages": pages_of(report),
        "figures_compared": compared,
        "contradictions": found,
        "tripod_items": f"{filled} of {items}",
        "public_data_set": not version.name.endswith("-simulated"),
        "metrics": len(run.data.metrics),
        "work_up_share": round(taken.get("work_up", 0.0) / whole, 4) if whole else None,
    }


def is_reached(figures: dict[str, Any]) -> bool:
    """Return whether a run reaches every figure."""
    filled = int(figures["tripod_items"].split()[0])
    return (
        figures["pages"] < MOST_PAGES
        and not figures["contradictions"]
        and (filled >= FEWEST_ITEMS or not figures["public_data_set"])
        and figures["metrics"] <= MOST_METRICS
    )


def main() -> int:
    """Print one JSON object for each model, and fail if a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="Registered models (default: all).")
    stated = parser.parse_args()
    sys.path.insert(0, SUPPORT)
    newest: dict[str, Version] = {}
    for version in list_models():
        if not stated.names or version.name in stated.names:
            newest.setdefault(version.name, version)
    if not newest:
        print(f"no version of {', '.join(stated.names) or 'any model'} is in the registry")
        return 2
    reached = True
    for version in newest.values():
        figures = figures_of(version)
        reached = reached and is_reached(figures)
        print(json.dumps(figures, indent=2), flush=True)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())

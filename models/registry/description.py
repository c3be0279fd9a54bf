"""The description of a model on MLflow's pages: its summary, and one link to the report."""

from __future__ import annotations

from collections.abc import Iterator

from models.inference.contract import Contract
from models.markdown import escaped
from models.model_summary import SummaryTable, model_summary

__all__ = ["model_description"]

_REPORT = "report.html"


def model_description(contract: Contract, *, experiment: str, run_id: str) -> str:
    """Return the summary of a model as Markdown; "" for one that was never evaluated."""
    if contract.evaluation is None:
        return ""
    summary = model_summary(contract)
    blocks = [
        f"**{escaped(summary.title)}**",
        *(["**Simulated patients.**"] if contract.simulated else []),
        f"[Report](#/experiments/{experiment}/runs/{run_id}/artifacts/{_REPORT})",
        *(
            f"**{escaped(topic.heading)}.** {escaped(' '.join(topic.sentences))}"
            for topic in summary.topics
        ),
        "**Cautions**\n\n" + "\n".join(f"- {escaped(caution)}" for caution in summary.cautions),
        *("\n".join(_rows(table)) for table in (summary.performance, summary.groups) if table.rows),
    ]
    return "\n\n".join(blocks) + "\n"


def _rows(table: SummaryTable) -> Iterator[str]:
    width = len(table.header)
    yield f"*{escaped(table.caption)}*\n"
    for row in (table.header, ("---",) * width, *table.rows):
        cells = (f"**{escaped(row[0])}**", *[""] * (width - 1)) if len(row) == 1 else row
        shown = cells if row[0] == "---" or len(row) == 1 else map(escaped, cells)
        yield "| " + " | ".join(shown) + " |"

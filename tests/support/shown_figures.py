"""The figures that report, model card, MLflow's description, facts page and gate record show.

Each is read from what was written, and compared with the contract: a figure that a reader could
hold against another must be the same, as far as it is printed.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser

from models.inference.contract import Contract
from models.metrics.catalogue import METRICS
from models.metrics.metric import Metric, held_out_metrics, held_out_metrics_when_blanked
from models.model_summary import model_summary

MINUS = "\N{MINUS SIGN}"
_NUMBER = r"[−-]?\d+(?:\.\d+)?"
_ESTIMATE = re.compile(rf"^({_NUMBER}) \(({_NUMBER}) to ({_NUMBER})\)$")
_DAYS = re.compile(r"^([\d.]+) days$")
_SHARE = re.compile(r"^(\d+) % empty$")


@dataclass(frozen=True)
class Shown:
    """One figure as a text shows it: numbers as printed."""

    place: str
    metric: str
    horizon_days: float | None
    blank_share: float
    printed: tuple[str, str, str]


@dataclass
class Table:
    """A table of texts under its caption."""

    caption: str
    rows: list[list[str]]


class _Tables(HTMLParser):
    """The tables of a page, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.words: list[str] = []
        self._cell: list[str] | None = None
        self._caption: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append(Table("", []))
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in {"td", "th"}:
            self._cell = []
        elif tag == "caption":
            self._caption = []

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"} and self._cell is not None:
            self.tables[-1].rows[-1].append(" ".join("".join(self._cell).split()))
            self._cell = None
        elif tag == "caption" and self._caption is not None:
            self.tables[-1].caption = " ".join("".join(self._caption).split())
            self._caption = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        for part in (self._cell, self._caption):
            if part is not None:
                part.append(data)


def tables_of_html(text: str) -> list[Table]:
    """Return the tables of a page."""
    return _Tables(text).tables


def words_of_html(text: str) -> str:
    """Return the words of a page on one line."""
    return " ".join(" ".join(_Tables(text).words).split())


def tables_of_markdown(text: str) -> list[Table]:
    """Return the tables of a Markdown text, each under the caption in italics before it."""
    tables: list[Table] = []
    caption, open_table = "", False
    for line in words_of_markdown(text).splitlines():
        if line.startswith("| "):
            if not open_table:
                tables.append(Table(caption, []))
            cells = [cell.strip().strip("*") for cell in line.strip()[1:-1].split("|")]
            tables[-1].rows.append(cells)
            open_table = True
        else:
            open_table = False
            if line.startswith("*") and line.endswith("*") and not line.startswith("**"):
                caption = line.strip("*")
    return tables


def words_of_markdown(text: str) -> str:
    """Return a Markdown text without its escapes."""
    return html.unescape(re.sub(r"\\([\\`*\[\]|_<&~#>+.)-])", r"\1", text))


def _metric_of(label: str) -> str | None:
    """Return the metric that a row is labelled with, in any of its three labels."""
    for spec in METRICS.values():
        labels = [spec.label, f"{spec.label}: {spec.reading}"]
        at_a_glance = getattr(spec, "at_a_glance", "")
        page = "" if spec.page is None else spec.page.label
        if label in [*labels, *filter(None, (at_a_glance, page))]:
            return spec.name
    return None


def shown_in_tables(place: str, tables: list[Table]) -> Iterator[Shown]:
    """Yield the figures of all stays that tables show, as recorded and with fields left empty."""
    for table in tables:
        if not table.rows or "not refused" in table.caption or "By sex" in table.caption:
            continue
        header, horizon = table.rows[0], None
        for row in table.rows[1:]:
            if len(row) == 1 or not any(row[1:]):
                heading = _DAYS.match(row[0])
                horizon = float(heading[1]) if heading else horizon
                continue
            metric = _metric_of(row[0])
            if metric is None:
                continue
            if len(header) == 4 and header[1] == "Horizon":  # the facts page: a figure per row
                yield from _shown(place, metric, row[1], 0.0, row[2])
                continue
            for head, cell in zip(header[1:], row[1:], strict=False):
                share = _SHARE.match(head)
                if head == "as recorded" or share:
                    days = f"{horizon:g} days" if horizon is not None else ""
                    yield from _shown(
                        place, metric, days, int(share[1]) / 100 if share else 0, cell
                    )
                else:
                    yield from _shown(place, metric, head, 0.0, cell)


def _shown(place: str, metric: str, head: str, share: float, cell: str) -> Iterator[Shown]:
    found, days = _ESTIMATE.match(cell), _DAYS.match(head)
    if found is None or (days is None and head not in {"whole follow-up", "all"}):
        return
    at = None if days is None else float(days[1])
    yield Shown(place, metric, at, share, (found[1], found[2], found[3]))


def _agrees(printed: str, value: float) -> bool:
    """Return whether a printed number is the value, rounded to as many decimals."""
    text = printed.replace(MINUS, "-")
    decimals = len(text.partition(".")[2])
    return abs(float(text) - value) <= 0.5000001 * 10**-decimals


def contradictions(
    contract: Contract,
    *,
    report: str,
    card: str,
    note: str,
    facts: str,
    gate: str | None,
) -> tuple[list[str], int]:
    """Return where two of the texts contradict each other, and how many figures were compared.

    `gate` is the text of the gate record, if the model was promoted by the figures of its run.
    """
    known = {
        (m.metric, m.horizon_days, m.blank_share): m
        for m in (*held_out_metrics(contract), *held_out_metrics_when_blanked(contract))
    }
    shown = [
        *shown_in_tables("report", tables_of_html(report)),
        *shown_in_tables("facts", tables_of_html(facts)),
        *shown_in_tables("card", tables_of_markdown(card)),
        *shown_in_tables("MLflow", tables_of_markdown(note)),
    ]
    found = [
        f"{one.place}: {one.metric} at {one.horizon_days} is {one.printed}"
        for one in shown
        if not _same(one, known)
    ]
    texts = {
        "report": words_of_html(report),
        "facts": words_of_html(facts),
        "card": " ".join(words_of_markdown(card).split()),
        "MLflow": " ".join(words_of_markdown(note).split()),
    }
    summary = model_summary(contract)
    sentences = [sentence for topic in summary.topics for sentence in topic.sentences]
    sentences += [*summary.cautions, *(" ".join(row[1:]) for row in summary.groups.rows)]
    for place, text in texts.items():
        plain = text.replace(" | ", " ")
        found += [f"{place} lacks: {s}" for s in sentences if " ".join(s.split()) not in plain]
        found += [f"{place} denies what was done" for _ in _denials(contract, text)]
    compared = len(shown) + len(texts) * len(sentences)
    if gate is not None:
        for entry in json.loads(gate)["metrics"]:
            key = (entry["metric"], entry["horizon_days"], entry.get("blank_share", 0.0))
            compared += 1
            if key not in known or known[key].estimate != _float(entry["estimate"]):
                found.append(f"gate: {key} is {entry['estimate']}")
    return found, compared


def _same(one: Shown, known: Mapping[tuple[str, float | None, float], Metric]) -> bool:
    metric = known.get((one.metric, one.horizon_days, one.blank_share))
    values = () if metric is None else (metric.estimate, metric.low, metric.high)
    return bool(values) and all(
        _agrees(text, value) for text, value in zip(one.printed, values, strict=True)
    )


def _float(value: float | None) -> float:
    return float("nan") if value is None else value


def _denials(contract: Contract, text: str) -> Iterator[str]:
    """Yield sentences that deny an analysis whose result the contract holds."""
    evaluation = contract.evaluation
    assert evaluation is not None
    if evaluation.groups:
        yield from re.findall("subgroups was not assessed|Subgroups: not assessed", text)
    if evaluation.patients_needed:
        yield from re.findall("No sample size was calculated", text)
    if contract.added_value is not None:
        yield from re.findall("panel of markers adds was not estimated", text)

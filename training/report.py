"""The report of a run: the model card and every figure on one page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from training.model_card import Section

__all__ = ["report_page"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0;
         border-bottom: 1px solid #ddd; overflow-wrap: anywhere; }
figure { display: inline-block; margin: 1rem 1rem 1rem 0; vertical-align: top; }
img { max-width: 100%; width: 28rem; }
"""


def report_page(title: str, sections: Sequence[Section], figures: Mapping[str, bytes]) -> str:
    """Return the report as one HTML page.

    Parameters
    ----------
    title : str
        Name of the model.
    sections : sequence of Section
        The model card.
    figures : mapping of str to bytes
        What a figure shows -> PNG.

    Returns
    -------
    str
    """
    body = [f"<h1>{escape(title)}</h1>"]
    for section in sections:
        body += _section(section)
    body.append("<h2>Figures</h2>")
    body += [_figure(caption, png) for caption, png in figures.items()]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f"</title><style>{_STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _section(section: Section) -> Iterator[str]:
    yield f"<h2>{escape(section.title)}</h2>"
    for sentence in section.sentences:
        yield f"<p>{escape(sentence)}</p>"
    if section.rows:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in section.header)
        yield f"<table><tr>{head}</tr>"
        for row in section.rows:
            yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        yield "</table>"


def _figure(caption: str, png: bytes) -> str:
    source = base64.b64encode(png).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{source}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )

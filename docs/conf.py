"""Sphinx's settings of the site; the reference is written from the code before each build."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parent)]

project = "Osteon"
author = "The Osteon developers"
copyright = "2026, The Osteon developers"
release = str(
    tomllib.loads((_HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]
)

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# Metrics and sources of the simulation are parts of pages.
exclude_patterns = [
    "_build",
    "reference/generated/metrics.md",
    "reference/generated/simulation.md",
]
nitpicky = True
default_role = "literal"  # single backticks of docstrings
nitpick_ignore_regex = [("py:.*", ".*")]  # types in signatures are of other projects
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = "Osteon"
html_static_path = ["_static"]
html_css_files = ["site.css"]
# Nothing is loaded from another host, so that the site reads the same without a network.
html_math_renderer = "mathml"
html_show_sphinx = False
html_copy_source = False


def _mathml(tex: str, *, as_block: bool = False) -> str:
    """Return a formula as MathML, with braces where LaTeX lets an argument go without."""
    braced = re.sub(r"\\frac(\d)(\w)", r"\\frac{\1}{\2}", tex)
    braced = re.sub(r"\\frac(\d)(?={)", r"\\frac{\1}", braced)
    braced = re.sub(r"\\(hat|bar) ?(\w)", r"\\\1{\2}", braced)
    drawn = latex2mathml.tex2mathml(braced, as_block=as_block)
    # Set braces, as of an indicator, are as high as what they hold, and no higher.
    return re.sub(r"<mo>([{}])</mo>", r'<mo stretchy="false">\1</mo>', drawn)


def _inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(_mathml(node.astext()))
    raise nodes.SkipNode


def _block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math">{_mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def _show_reasons(app: Sphinx, docname: str, source: list[str]) -> None:
    """Let readers see which blocks the tests do not run, and why."""
    source[0] = re.sub(
        r"^<!-- not run here: (.+) -->$",
        r"*The tests do not run this block: \1.*\n",
        source[0],
        flags=re.MULTILINE,
    )


def _write_reference(app: Sphinx) -> None:
    from reference_pages import write_pages

    write_pages(_HERE / "reference" / "generated")


def setup(app: Sphinx) -> None:
    """Add formulas as MathML, which browsers draw themselves, and the generated pages."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("builder-inited", _write_reference)
    app.connect("source-read", _show_reasons)

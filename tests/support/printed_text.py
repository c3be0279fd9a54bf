"""What a printed page holds: its pages, its text and the size of its smallest letters."""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Printed:
    """A PDF: the text of each page, and the smallest size of any letter in points."""

    pages: tuple[str, ...]
    smallest_points: float


def printed(path: Path) -> Printed:
    """Return what a PDF holds; pypdfium2 must be installed."""
    import pypdfium2
    from pypdfium2 import raw

    document = pypdfium2.PdfDocument(path)
    texts, smallest = [], math.inf
    for page in document:
        text = page.get_textpage()
        texts.append(" ".join(text.get_text_range().split()))
        for at in range(text.count_chars()):
            if chr(raw.FPDFText_GetUnicode(text, at)).isspace():
                continue
            matrix = raw.FS_MATRIX()
            if raw.FPDFText_GetMatrix(text, at, ctypes.byref(matrix)):
                # The size of the font in the text's own space, in that of the page.
                height = math.hypot(matrix.c, matrix.d)
                smallest = min(smallest, raw.FPDFText_GetFontSize(text, at) * height)
    return Printed(tuple(texts), smallest)

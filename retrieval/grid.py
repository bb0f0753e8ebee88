"""A picture of a search: the query, and what was found, with scores."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..data.images import Pixels, square

SIDE: Final = 160
"""Of every picture, in pixels."""

_GAP: Final = 8
_LABEL: Final = 44  # two lines
_TEXT: Final = 16
_COLUMNS: Final = 8


def draw_grid(
    query: Pixels, photos: Sequence[Pixels], scores: Sequence[float], names: Sequence[str]
) -> Pixels:
    """Draw a query and its neighbors in reading order, each over its score and its name.

    Args:
        query: uint8 RGB (H, W, 3); its central square is shown, as it was searched for.
        photos: as many neighbors, the most similar first.
        scores: their cosines.
        names: their names; long ones are shown by their end.

    Returns:
        uint8 RGB, eight pictures wide at most.
    """
    pictures = [query, *photos]
    captions = ["query", *(f"{score:.3f}" for score in scores)]
    return lay_out(pictures, captions, ["", *names], min(len(pictures), _COLUMNS))


def lay_out(
    pictures: Sequence[Pixels], captions: Sequence[str], notes: Sequence[str], columns: int
) -> Pixels:
    """Lay pictures out in reading order, each over a caption and a smaller note.

    Args:
        pictures: uint8 RGB (H, W, 3) each; the central square is shown.
        captions: one for each.
        notes: one for each; long ones are shown by their end.
        columns: how many stand in a line.

    Returns:
        uint8 RGB.
    """
    lines = -(-len(pictures) // columns)
    width, height = SIDE + _GAP, SIDE + _LABEL + _GAP
    sheet = Image.new("RGB", (columns * width + _GAP, lines * height + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    large, small = (ImageFont.load_default(size) for size in (_TEXT, _TEXT - 5))
    for i, (picture, caption, note) in enumerate(zip(pictures, captions, notes, strict=True)):
        left, top = i % columns * width + _GAP, i // columns * height + _GAP
        sheet.paste(Image.fromarray(square(picture, SIDE)), (left, top))
        draw.text((left, top + SIDE + 2), caption, "black", large)
        readable = "".join(c if c.isprintable() else "?" for c in note)
        shown = _fitting(draw, readable, small)
        draw.text((left, top + SIDE + 24), shown, (90, 90, 90), small)
    return np.array(sheet)


def _fitting(
    draw: ImageDraw.ImageDraw, name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> str:
    """As much of a name's end as stands under a picture."""
    shown = name
    while draw.textlength(shown, font) > SIDE and len(name) > 1:
        name = name[1:]
        shown = f"…{name}"
    return shown

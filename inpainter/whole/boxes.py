"""Boxes of a photo: rows and columns."""

from collections.abc import Sequence
from typing import TypeAlias

from ...data.rasters import box_of

__all__ = ["Box", "box_around", "box_of", "wider", "within"]

Box: TypeAlias = tuple[slice, slice]


def wider(box: Box, pad: int, shape: tuple[int, ...]) -> Box:
    """A box with so many pixels more on each side, as far as a photo (H, W, ...) has any."""
    rows, columns = (
        slice(max(0, part.start - pad), min(length, part.stop + pad))
        for part, length in zip(box, shape[:2], strict=True)
    )
    return rows, columns


def box_around(boxes: Sequence[Box]) -> Box:
    """The smallest box around one or several."""
    rows, columns = (
        slice(min(part.start for part in parts), max(part.stop for part in parts))
        for parts in zip(*boxes, strict=True)
    )
    return rows, columns


def within(box: Box, outer: Box) -> Box:
    """A box in the coordinates of one around it."""
    rows, columns = (
        slice(part.start - around.start, part.stop - around.start)
        for part, around in zip(box, outer, strict=True)
    )
    return rows, columns

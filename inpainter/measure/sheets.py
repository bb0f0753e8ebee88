"""Sheets of filled photos, to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ...data.files import replacing
from ...data.images import Pixels
from ...data.tensors import to_pixels
from .metrics import Floats
from .plan import Planned
from .work import Work, Worker, picture

_GAP: Final = 6
_TEXT: Final = 13
_NEIGHBORS: Final = 3
_ALONE: Final = 3  # pictures of a case without similar photos
_QUALITY: Final = 92
_SMALL: Final = 0.1  # holes of a smaller share show little


class Sheets:
    """Draws cases of an evaluation whose blocks are there."""

    def __init__(self, work: Work) -> None:
        self._work, self._worker = work, Worker(work)

    def strips(self, path: Path, planned: Planned, rows: Sequence[dict[str, object]]) -> None:
        """A strip for each case: photo with hole, what was shown, painted, truth.

        Args:
            path: JPEG file to write.
            planned: the method.
            rows: of its results.
        """
        strips, captions = [], []
        for row in rows:
            masked, painted, truth = self._pictures(planned, row)
            strips.append([masked, *self._neighbors(planned, row), painted, truth])
            error = f"L1 in the hole {row['l1_hole']:.1f} %"
            captions.append(f"{row['bucket']}  {error}  {row['photo']}")
        shown = "similar photos | " if len(strips[0]) > _ALONE else ""
        captions[0] += f"     with hole | {shown}{planned.label} | truth"
        _write(path, strips, captions, 2 if len(strips[0]) < 5 else 1)

    def comparison(
        self, path: Path, planned: Sequence[Planned], rows: Sequence[dict[str, object]]
    ) -> None:
        """A strip for each case: photo with hole, painted by every method, truth."""
        strips, captions = [], []
        for row in rows:
            pictures = [self._pictures(one, row) for one in planned]
            strips.append([pictures[0][0], *(p[1] for p in pictures), pictures[0][2]])
            captions.append(f"{row['bucket']}  {row['photo']}")
        captions[0] += f"     with hole | {' | '.join(one.label for one in planned)} | truth"
        _write(path, strips, captions, 1)

    def _pictures(self, planned: Planned, row: dict[str, object]) -> tuple[Pixels, Pixels, Pixels]:
        case = row["case"]
        assert isinstance(case, int)  # noqa: S101 - a column of integers
        block = self._work.cases.block(case, case + 1)
        truth, hole = block.truth[0], block.holes[0][..., None] > 0
        painted = picture(next(self._work.of(planned).pictures([case])))
        return np.where(hole, np.uint8(255), truth), np.where(hole, painted, truth), truth

    def _neighbors(self, planned: Planned, row: dict[str, object]) -> list[Pixels]:
        ids = np.asarray(row["neighbors"], dtype=np.int64)[:_NEIGHBORS]
        if not len(ids) or planned.database is None:
            return []
        size = self._work.cases.size
        return [*to_pixels(self._worker.library(planned.database).photos(ids, size))]


def ranked(table: pa.Table, count: int) -> dict[str, list[dict[str, object]]]:
    """The best, median and worst cases of one method by L1 inside the hole.

    Args:
        table: the method's results.
        count: of each. Holes of a tenth of the photo or more, if there are enough of them.
    """
    error: Floats = table["l1_hole"].to_numpy()
    large: NDArray[np.int64] = np.flatnonzero(table["hole_ratio"].to_numpy() >= _SMALL)
    if len(large) < 3 * count:
        large = np.arange(len(table))
    order = large[np.argsort(error[large], kind="stable")]
    count = min(count, len(order))
    middle = (len(order) - count) // 2
    chosen = {
        "best": order[:count],
        "median": order[middle : middle + count],
        "worst": order[::-1][:count],
    }
    return {name: table.take(rows).to_pylist() for name, rows in chosen.items()}


def spread(table: pa.Table, count: int) -> list[dict[str, object]]:
    """Cases of every group in turn, the first ones of each."""
    groups: dict[object, list[int]] = {}
    keys = zip(table["rank"].to_pylist(), range(len(table)), strict=True)
    for rank, row in sorted(keys):
        groups.setdefault(rank, []).append(row)
    each = max(1, count // len(groups))
    rows: list[dict[str, object]] = table.take(
        [row for members in groups.values() for row in members[:each]]
    ).to_pylist()
    return rows


def _write(
    path: Path, strips: Sequence[Sequence[Pixels]], captions: Sequence[str], columns: int
) -> None:
    """Write strips with captions under them as a JPEG."""
    size = strips[0][0].shape[0]
    width = max(len(strip) for strip in strips) * (size + _GAP) + 2 * _GAP
    height = size + _TEXT + 3 * _GAP
    lines = -(-len(strips) // columns)
    sheet = Image.new("RGB", (columns * width, lines * height + _GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT)
    for i, (strip, caption) in enumerate(zip(strips, captions, strict=True)):
        left, top = i % columns * width + _GAP, i // columns * height + _GAP
        for j, pixels in enumerate(strip):
            sheet.paste(Image.fromarray(pixels), (left + j * (size + _GAP), top))
        draw.text((left, top + size + 1), caption, "black", font)
    with replacing(path) as temporary:
        sheet.save(temporary, "JPEG", quality=_QUALITY)

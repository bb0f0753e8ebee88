"""What a mask data set looks like: numbers and a picture."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .buckets import BUCKET_EDGES, bucket_name
from .recipes import Mask

SHEET = 64
"""How many masks the picture shows."""


def summarise(table: pa.Table) -> dict[str, Any]:
    """Counts and hole ratios of each split of a mask table."""
    summary = {}
    for split in pc.unique(table["split"]).to_pylist():
        rows = table.filter(pc.equal(table["split"], split))
        ratios = rows["hole_ratio"].to_numpy()
        buckets = rows["bucket"].to_numpy()
        summary[split] = {
            "masks": len(rows),
            "hole_ratio": {"mean": float(ratios.mean()), "std": float(ratios.std())},
            "buckets": {
                bucket_name(b): int(np.count_nonzero(buckets == b))
                for b in (*range(len(BUCKET_EDGES) - 1), -1)
            },
        }
    return summary


def draw_sheet(
    path: Path, title: str, ratios: Mapping[str, NDArray[np.float64]], masks: Iterable[Mask]
) -> None:
    """Draw a histogram of hole ratios over a sheet of 8 x 8 masks, as a PNG.

    Args:
        path: where to write it.
        title: what the masks are, above the picture.
        ratios: hole ratios, (n,), by split.
        masks: up to 64 masks to show, (S, S), 1 = hole.
    """
    figure = Figure(figsize=(9, 12.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    grid = figure.add_gridspec(2, 1, height_ratios=[1, 3])
    axes, bottom = figure.add_subplot(grid[0]), figure.add_subfigure(grid[1])
    bins = np.linspace(0, 1, 51)
    for split, values in ((name, v) for name, v in ratios.items() if len(v)):
        weights = np.full(len(values), 1 / len(values))
        label = f"{split}, {len(values):,} masks, mean {values.mean():.3f}"
        axes.hist(values, bins=bins.tolist(), weights=weights.tolist(), alpha=0.6, label=label)
    for edge in BUCKET_EDGES:
        axes.axvline(edge, color="0.7", linewidth=0.8)
    axes.set(xlabel="hole ratio (grey lines: the buckets)", ylabel="share of masks", xlim=(0, 1))
    axes.legend()
    for cell, mask in zip(bottom.subplots(8, 8).ravel(), [*masks, *[None] * SHEET], strict=False):
        cell.set_axis_off()
        if mask is not None:
            # A grey border shows where holes touch the edge.
            cell.imshow(np.pad(mask * 255, 3, constant_values=128), cmap="gray", vmin=0, vmax=255)
    figure.savefig(path, dpi=100, format="png")

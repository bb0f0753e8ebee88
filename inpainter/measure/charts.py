"""Charts of an evaluation: curves over the buckets, and box plots of each method."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from ...data.files import replacing
from .metrics import METRICS
from .results import Summary

_SHOWN: Final = ("l1", "psnr", "ssim", "l1_hole", "sharpness", "identity_truth")
_DPI: Final = 110


def draw_curves(path: Path, summaries: Sequence[Summary]) -> None:
    """One panel for each metric: its mean over the groups, a line for each method."""
    shown = [name for name in _SHOWN if any(one.metric == name for one in summaries)]
    figure = Figure(figsize=(6 * ((len(shown) + 1) // 2), 8.5), layout="constrained")
    panels = figure.subplots(2, (len(shown) + 1) // 2, squeeze=False).ravel()
    methods = list(dict.fromkeys(one.method for one in summaries))
    for axes, name in zip(panels, shown, strict=False):
        for method in methods:
            cells = [one for one in summaries if (one.method, one.metric) == (method, name)]
            axes.plot([c.bucket for c in cells], [c.mean for c in cells], "o-", label=method)
        axes.set_title(METRICS[name].title)
        axes.tick_params(axis="x", rotation=30)
        axes.grid(alpha=0.3)
    panels[0].legend(fontsize=8)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    _save(figure, path)


def draw_boxes(path: Path, table: pa.Table) -> None:
    """Quartiles of every method over all cases, whiskers at 5 % and 95 %."""
    shown = [name for name in _SHOWN if METRICS[name].of in table.column_names]
    shown = [name for name in shown if not METRICS[name].over]
    methods = pc.unique(table["method"]).to_pylist()
    figure = Figure(figsize=(4 * len(shown), 1.6 + 0.4 * len(methods)), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        values = [
            table.filter(pc.equal(table["method"], method))[METRICS[name].of].drop_null().to_numpy()
            for method in methods
        ]
        axes.boxplot(
            values, orientation="horizontal", tick_labels=methods, whis=(5, 95), showfliers=False
        )
        axes.invert_yaxis()
        axes.set_title(METRICS[name].title)
        axes.grid(axis="x", alpha=0.3)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png")

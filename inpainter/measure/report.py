"""The report of an evaluation, for people: `report.md`, and `report.html` in a single file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...data.files import make_folder
from ..page import Page
from .bootstrap import LEAST_UNITS, RESAMPLES, Difference, too_few
from .charts import draw_boxes, draw_curves
from .metrics import METRICS
from .plan import ALBUM_ONLY, Planned
from .results import Summary
from .sheets import Sheets, ranked, spread
from .work import Work

if TYPE_CHECKING:
    from ..evaluation import Evaluation

Table: TypeAlias = tuple[list[str], list[list[str]]]
"""Header and rows, as `Page.table` takes them."""


def write_report(
    config: "Evaluation",
    work: Work,
    planned: Sequence[Planned],
    table: pa.Table,
    summaries: Sequence[Summary],
    compared: Sequence[Difference],
    remarks: Sequence[str],
) -> Path:
    """Write both reports and their pictures; the page's path.

    Raises:
        StorageError: a file cannot be written.
    """
    pictures = _draw(config, work, planned, table, summaries)
    page = Page(config.out, "Evaluation")
    page.text(_about(config, work, table))
    for remark in remarks:
        page.text(remark)
    page.table(*_methods_table(planned))
    for name in METRICS:
        cells = [one for one in summaries if one.metric == name]
        if cells:
            page.heading(METRICS[name].title)
            page.table(*_metric_table(name, cells))
    page.heading("Seconds for a photo")
    page.text("Median over photos, painted one at a time, retrieval included.")
    page.table(*_times(table))
    _write_differences(page, compared, too_few(table))
    for title, path in pictures:
        page.heading(title)
        page.picture(path, title)
    return page.write()


def _write_differences(page: Page, compared: Sequence[Difference], few: Mapping[str, int]) -> None:
    page.heading("Which differences hold")
    page.text(
        f"Paired bootstrap, {RESAMPLES:,} resamples: the first method's number less the second's; "
        "bold where the 95 % interval does not hold 0, with the better method's number of "
        "the pair (1 or 2). Of sharpness, the distances from 1 are compared. "
        "All intervals are in differences.csv."
    )
    if compared and few:
        page.text(
            f"None holds where there are fewer than {LEAST_UNITS} photos, or persons of an album, "
            "since their resamples are too much alike: "
            + ", ".join(f"{group} has {units}" for group, units in few.items())
            + "."
        )
    for name in METRICS:
        own = [one for one in compared if one.metric == name]
        if own:
            page.heading(METRICS[name].title, 3)
            page.table(*_differences_table(name, own))


def _methods_table(planned: Sequence[Planned]) -> Table:
    """What each column's name stands for."""
    header = ["Method", "made of", "is shown", "found by", "fingerprint"]
    rows = []
    for one in planned:
        place = f" of {one.database}" if one.database and one.database != ALBUM_ONLY else ""
        shown = f"{one.auxiliary}{place}" if one.shown else ""
        rows.append([one.label, one.source, shown, one.coarse, one.fingerprint])
    return header, rows


def _about(config: "Evaluation", work: Work, table: pa.Table) -> str:
    cases = work.cases
    unusable = len(cases.cache) - len(cases.cache.usable)
    text = (
        f"{len(np.unique(cases.photo)):,} photos, {len(cases):,} cases, "
        f"{config.size} x {config.size} "
        f"pixels, seed {config.seed}. Numbers are of the composite in 8 bits: mean ± standard "
        "deviation over cases; the best of each column is bold. "
    )
    if config.jitter:
        text += f"Of {config.jitter:.0%} of the photos a part is painted, turned and moved. "
    if unusable:
        text += f"{unusable:,} files could not be used and were left out. "
    first = table.filter(pc.equal(table["method"], table["method"][0]))
    counts = pc.value_counts(first["bucket"]).to_pylist()
    return text + "Cases: " + ", ".join(f"{one['values']} {one['counts']:,}" for one in counts)


def _metric_table(name: str, cells: Sequence[Summary]) -> Table:
    """Methods down, groups across, the best in bold."""
    metric = METRICS[name]
    groups = list(dict.fromkeys(one.bucket for one in cells))
    methods = list(dict.fromkeys(one.method for one in cells))
    found = {(one.method, one.bucket): one for one in cells}

    def badness(one: Summary) -> float:
        """Of the number as it is printed: what looks the same is equally good."""
        return float(metric.badness(np.array([round(one.mean, metric.digits)]))[0])

    best = {
        group: np.fmin.reduce([badness(found[method, group]) for method in methods])
        for group in groups
    }

    def text(one: Summary) -> str:
        mean = f"{one.mean:.{metric.digits}f}"
        bold = badness(one) == best[one.bucket]
        std = "" if np.isnan(one.std) else f" ± {one.std:.{metric.digits}f}"
        return f"**{mean}**{std}" if bold else f"{mean}{std}"

    rows = [[method, *(text(found[method, group]) for group in groups)] for method in methods]
    return ["", *groups], rows


def _times(table: pa.Table) -> Table:
    rows = []
    for method in pc.unique(table["method"]).to_pylist():
        seconds = table.filter(pc.equal(table["method"], method))["seconds"].to_numpy()
        rows.append([method, f"{np.median(seconds):.4f}"])
    return ["", "s"], rows


def _differences_table(name: str, own: Sequence[Difference]) -> Table:
    """Pairs down, groups across."""
    digits = METRICS[name].digits + 1
    groups = list(dict.fromkeys(one.bucket for one in own))
    pairs = list(dict.fromkeys((one.a, one.b) for one in own))
    found = {(one.a, one.b, one.bucket): one for one in own}

    def text(one: Difference) -> str:
        number = f"{one.difference:+.{digits}f}"
        return f"**{number}** ({1 if one.better == one.a else 2})" if one.better else number

    rows = [[f"{a} − {b}", *(text(found[a, b, group]) for group in groups)] for a, b in pairs]  # noqa: RUF001 - a minus
    return ["", *groups], rows


def _draw(
    config: "Evaluation",
    work: Work,
    planned: Sequence[Planned],
    table: pa.Table,
    summaries: Sequence[Summary],
) -> list[tuple[str, Path]]:
    """Draw all pictures: titles and files."""
    folder = config.out / "pictures"
    make_folder(folder)
    drawn: list[tuple[str, Path]] = []

    def add(title: str, name: str, draw: Callable[[Path], None]) -> None:
        draw(folder / name)
        drawn.append((title, folder / name))

    add("Curves over the groups", "curves.png", lambda path: draw_curves(path, summaries))
    add("Quartiles over all cases", "boxes.png", lambda path: draw_boxes(path, table))
    sheets = Sheets(work)
    first = table.filter(pc.equal(table["method"], planned[0].label))
    rows = spread(first, config.sheet)
    add("All methods", "methods.jpg", lambda path: sheets.comparison(path, planned, rows))
    for one in planned:
        own = table.filter(pc.equal(table["method"], one.label))
        for kind, chosen in ranked(own, config.sheet).items():
            title = f"{one.label}: {kind} cases by L1 inside the hole"
            _add_strips(add, sheets, one, title, f"{one.folder}-{kind}.jpg", chosen)
    return drawn


def _add_strips(
    add: Callable[[str, str, Callable[[Path], None]], None],
    sheets: Sheets,
    one: Planned,
    title: str,
    name: str,
    rows: Sequence[dict[str, object]],
) -> None:
    add(title, name, lambda path: sheets.strips(path, one, rows))

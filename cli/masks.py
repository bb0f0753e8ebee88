"""`simpaint masks`: strokes and irregular hole masks (QD-IMD)."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from .progress import progress_bar

SHAPES = (
    "strokes", "center", "left", "right", "eyes", "mouth", "random-box", "random-block",
    "random-region",
)  # fmt: skip


@click.group()
def masks() -> None:
    """Hole masks drawn from human strokes (QD-IMD)."""


def _range(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """START:STOP, as in Python."""
    if value is None:
        return None
    try:
        start, stop = (int(number) for number in value.split(":"))
    except ValueError as error:
        raise InputError(f"--range: expected it as 0:30000, found {value}") from error
    return start, stop


@masks.command()
@click.argument("strokes", required=False)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--train", default=50_000, show_default=True, help="Number of training masks.")
@click.option("--test", type=int, help="Number of test masks.  [default: 10000]")
@click.option(
    "--per-bucket",
    type=click.IntRange(1),
    help="Instead of --test: this many test masks in each of the six hole-ratio buckets.",
)
@click.option("--size", default=256, show_default=True, help="Side in pixels.")
@click.option("--seed", default=0, show_default=True, help="Other masks for another seed.")
@click.option(
    "--shape",
    type=click.Choice(SHAPES),
    default="strokes",
    show_default=True,
    help="What the holes are.",
)
@click.option(
    "--strokes-number",
    nargs=2,
    type=float,
    default=(4, 2),
    show_default=True,
    metavar="MEAN STD",
    help="Strokes of a mask: mean and standard deviation.",
)
@click.option(
    "--line-width",
    nargs=2,
    type=float,
    default=(5, 15),
    show_default=True,
    metavar="MIN MAX",
    help="Line width, in pixels of a 256 canvas.",
)
@click.option(
    "--scale",
    nargs=2,
    type=float,
    default=(1, 1.5),
    show_default=True,
    metavar="MIN MAX",
    help="Upscaling before the central crop.",
)
@click.option(
    "--strokes-per-drawing",
    default=1,
    show_default=True,
    help="Successive strokes taken of each chosen drawing.",
)
@click.option(
    "--placement",
    type=click.Choice(["center", "corner"]),
    default="center",
    show_default=True,
    help="Centre each drawing in its box, or leave it at the top left as published.",
)
@click.option(
    "--test-share",
    default=0.2,
    show_default=True,
    help="Share of all categories that only test masks draw from, chosen by their names. "
    "The shipped networks were trained with those beyond 0.2.",
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option(
    "--range", "only", callback=_range, metavar="A:B", help="Make only masks A to B, train first."
)
@click.option("--black-holes", is_flag=True, help="Black = hole, as the published QD-IMD has it.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def generate(
    strokes: str | None,
    out: Path,
    train: int,
    test: int | None,
    per_bucket: int | None,
    strokes_number: tuple[float, float],
    line_width: tuple[float, float],
    scale: tuple[float, float],
    workers: int,
    only: tuple[int, int] | None,
    black_holes: bool,
    as_json: bool,
    **config: Any,  # noqa: ANN401 - the options that MaskConfig names as they are
) -> None:
    """Draw a data set of masks as 1-bit PNGs, white = hole.

    STROKES is a file made by `simpaint masks import`, or the word `synthetic` for computed curves;
    other shapes than strokes need none. Train and test masks use strokes of disjoint categories.
    Stopped half-way, the same command goes on where it was.
    """
    from ..data.mask_files import write_masks
    from ..data.mask_sources import GeneratedMasks
    from ..data.masks import MaskConfig
    from ..data.strokes import named_bank

    mask_config = MaskConfig(
        strokes_mean=strokes_number[0],
        strokes_std=strokes_number[1],
        width_min=line_width[0],
        width_max=line_width[1],
        scale_min=scale[0],
        scale_max=scale[1],
        **config,
    )
    if mask_config.shape == "strokes" and strokes is None:
        raise InputError("STROKES: expected a file of `masks import`, or `synthetic`; found none")
    if strokes is not None and mask_config.shape != "strokes":
        raise InputError(
            f"STROKES: expected none beside --shape {mask_config.shape}, found {strokes}"
        )
    bank = None if strokes is None else named_bank(strokes)
    if test is None:
        test = 0 if per_bucket else 10_000
    source = GeneratedMasks(bank, mask_config, train=train, test=test, per_bucket=per_bucket)
    with progress_bar("Drawing masks", "masks") as progress:
        summary = write_masks(
            source, out, workers=workers, only=only, black_holes=black_holes, progress=progress
        )
    _report(out, summary, as_json)


@masks.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--size", type=int, required=True, help="Side in pixels.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--black-holes", is_flag=True, help="Black = hole, as the published QD-IMD has it.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def render(
    table: Path, out: Path, size: int, workers: int, black_holes: bool, as_json: bool
) -> None:
    """Draw the masks of a data set again, at another size, sharp.

    TABLE is the `masks.parquet` of the data set: it holds the strokes of every mask.
    """
    from ..data.mask_files import write_masks
    from ..data.mask_sources import StoredMasks

    source = StoredMasks(table, size)
    with progress_bar("Drawing masks", "masks") as progress:
        summary = write_masks(
            source, out, workers=workers, black_holes=black_holes, progress=progress
        )
    _report(out, summary, as_json)


@masks.command("import")
@click.argument("drawings", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Stroke bank to write.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def import_(drawings: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Read Quick, Draw! files into a stroke bank.

    DRAWINGS are files in any of the three published forms (simplified or raw .ndjson, .bin), also
    with .gz, or folders of them. Damaged lines are left out and listed.
    """
    from ..data.stroke_import import import_drawings

    with progress_bar("Reading drawings", of_bytes=True) as progress:
        report = import_drawings(drawings, out, progress=progress)
    for damage in report.examples:
        click.echo(str(damage), err=True)
    if more := report.damaged - len(report.examples):
        click.echo(f"... and {more:,} more", err=True)
    if as_json:
        click.echo(json.dumps(asdict(report) | {"out": out}, default=str))
    else:
        click.echo(
            f"{out}: {report.strokes:,} strokes of {report.drawings:,} drawings in "
            f"{report.categories:,} categories, from {report.files:,} files; "
            f"{report.damaged:,} damaged and left out"
        )


@masks.command()
@click.option("--categories", required=True, help="Names, separated by commas: cat,face")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option(
    "--form",
    type=click.Choice(["simplified", "raw", "binary"]),
    default="simplified",
    show_default=True,
    help="Which of the published forms.",
)
@click.option("--jobs", default=4, show_default=True, type=click.IntRange(1), help="At a time.")
@click.option("--base-url", hidden=True, help="Another server with the same files.")
def fetch(categories: str, out: Path, form: Any, jobs: int, base_url: str | None) -> None:  # noqa: ANN401 - a Literal, checked by click
    """Download drawings of Quick, Draw! (Google, CC BY 4.0).

    Stopped half-way, the same command goes on where it was.
    """
    from ..data import download

    names = [name.strip() for name in categories.split(",")]
    files = download.quickdraw_files(names, out, form, base_url or download.QUICKDRAW_URL)
    with progress_bar("Downloading", of_bytes=True) as progress:
        download.fetch(files, jobs=jobs, progress=progress)
    size = sum(path.stat().st_size for path in files.values())
    click.echo(f"{out}: {len(files):,} files, {size / 1e6:,.1f} MB")


def _report(out: Path, summary: dict[str, Any] | None, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(summary))
    elif summary is None:
        click.echo(f"The range is done. {out} is not whole yet: make the other ranges too.")
    else:
        click.echo(f"{out}: {summary['settings']['masks']}")
        for split in ("train", "test"):
            if split in summary:
                ratio = summary[split]["hole_ratio"]
                click.echo(
                    f"{split}: {summary[split]['masks']:,} masks, "
                    f"hole ratio {ratio['mean']:.3f} ± {ratio['std']:.3f}"
                )
        click.echo(f"Look at {out / 'sheet.png'}.")
